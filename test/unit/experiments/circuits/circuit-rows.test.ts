import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { circuitBlocks, forgetsPrompt } from "../../../../src/experiments/circuits/circuit-rows.js";
import { ABLATED, LIVE, RESTORED, type SiteIntervention } from "../../../../src/nodes/intervention.js";

describe("blocks of circuit rows", () => {
  it("hold every row of every evaluation once, in order, within the limit", () => {
    const sizes = fc.record({
      rows: fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 9 }),
      most: fc.integer({ min: 1, max: 70 }),
    });
    fc.assert(
      fc.property(sizes, ({ rows, most }) => {
        const blocks = circuitBlocks(rows, most);
        const held = blocks
          .flat()
          .flatMap(({ evaluation, start, count }) => Array.from({ length: count }, (_, i) => [evaluation, start + i]));
        expect(held).toEqual(
          rows.flatMap((count, evaluation) => Array.from({ length: count }, (_, i) => [evaluation, i])),
        );
        for (const block of blocks) expect(block.reduce((sum, { count }) => sum + count, 0)).toBeLessThanOrEqual(most);
      }),
    );
  });

  it("split an evaluation only where it is too large for a block", () => {
    expect(circuitBlocks([4, 4, 4], 9)).toEqual([
      [
        { evaluation: 0, start: 0, count: 4 },
        { evaluation: 1, start: 0, count: 4 },
      ],
      [{ evaluation: 2, start: 0, count: 4 }],
    ]);
    expect(circuitBlocks([5, 1], 3)).toEqual([
      [{ evaluation: 0, start: 0, count: 3 }],
      [{ evaluation: 0, start: 3, count: 2 }],
      [{ evaluation: 1, start: 0, count: 1 }],
    ]);
  });
});

describe("an evaluation forgets its prompt", () => {
  const hook = "blocks.0.hook_resid_post";
  const other = "blocks.0.hook_mlp_out";
  const site = (features: number[], errors: number[]): SiteIntervention => ({
    features: Uint8Array.from(features),
    errors: Uint8Array.from(errors),
    slices: new Uint8Array(0),
  });
  const ablated = site([ABLATED, ABLATED], [ABLATED]);

  it("where a whole resid_post is ablated", () => {
    expect(forgetsPrompt(new Map([[hook, ablated]]), [hook])).toBe(true);
    expect(forgetsPrompt(new Map([[hook, ablated], [other, site([LIVE, LIVE], [LIVE])]]), [hook])).toBe(true); // prettier-ignore
  });

  it("not where a node of it stays, or another site is ablated, or a node anywhere is restored", () => {
    expect(forgetsPrompt(new Map([[hook, site([ABLATED, LIVE], [ABLATED])]]), [hook])).toBe(false);
    expect(forgetsPrompt(new Map([[hook, site([ABLATED, ABLATED], [LIVE])]]), [hook])).toBe(false);
    expect(forgetsPrompt(new Map([[other, ablated]]), [hook])).toBe(false);
    expect(forgetsPrompt(new Map([[hook, ablated], [other, site([ABLATED, RESTORED], [ABLATED])]]), [hook])).toBe(false); // prettier-ignore
    expect(forgetsPrompt(new Map(), [hook])).toBe(false);
  });
});
