import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { circuitBlocks } from "../../../src/attribution/circuit-rows.js";

describe("blocks of circuit rows", () => {
  it("hold every row of every evaluation once, in order, within the limit", () => {
    const sizes = fc.record({
      evaluations: fc.nat(9),
      rows: fc.integer({ min: 1, max: 20 }),
      most: fc.integer({ min: 1, max: 70 }),
    });
    fc.assert(
      fc.property(sizes, ({ evaluations, rows, most }) => {
        const blocks = circuitBlocks(evaluations, rows, most);
        const held = blocks
          .flat()
          .flatMap(({ evaluation, start, count }) =>
            Array.from({ length: count }, (_, i) => evaluation * rows + start + i),
          );
        expect(held).toEqual(Array.from({ length: evaluations * rows }, (_, i) => i));
        for (const block of blocks) expect(block.reduce((sum, { count }) => sum + count, 0)).toBeLessThanOrEqual(most);
      }),
    );
  });

  it("split an evaluation only where it is too large for a block", () => {
    expect(circuitBlocks(3, 4, 9)).toEqual([
      [
        { evaluation: 0, start: 0, count: 4 },
        { evaluation: 1, start: 0, count: 4 },
      ],
      [{ evaluation: 2, start: 0, count: 4 }],
    ]);
    expect(circuitBlocks(1, 5, 3)).toEqual([
      [{ evaluation: 0, start: 0, count: 3 }],
      [{ evaluation: 0, start: 3, count: 2 }],
    ]);
  });
});
