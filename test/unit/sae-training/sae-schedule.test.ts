/** @file The schedule of SAE training: every token once a pass, fills that fit, steps that use every row. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { batchesOfFill, blocksOfPass, scheduleFills, stepsOf } from "../../../src/sae-training/sae-schedule.js";

const [BOS, PAD] = [0, 1];
const skip = new Set([BOS, PAD]);
const sequence = fc.array(fc.integer({ min: 2, max: 99 }), { minLength: 1, maxLength: 12 }).map((ids) => [BOS, ...ids]);
const sequences = fc.array(sequence, { minLength: 1, maxLength: 40 });
const options = { seed: 3, bufferRows: 60, blockTokens: 30, batchRows: 8, skip };

describe("a pass", () => {
  it("holds every sequence once, in blocks of one length and bounded size", () => {
    fc.assert(
      fc.property(sequences, (list) => {
        const blocks = blocksOfPass(list, 0, options);
        expect(blocks.flatMap(({ sequences: s }) => s.map(String)).sort()).toEqual(list.map(String).sort());
        for (const block of blocks) {
          const tokens = block.sequences.flat();
          expect(new Set(block.sequences.map(({ length }) => length)).size).toBe(1);
          expect(tokens.length).toBeLessThanOrEqual(30);
          expect(block.rows).toBe(tokens.filter((id) => id !== BOS).length);
        }
      }),
    );
  });

  it("has an order of its own", () => {
    const list = Array.from({ length: 30 }, (_, i) => [BOS, i + 2]);
    const order = (pass: number): string => JSON.stringify(blocksOfPass(list, pass, options));
    expect(order(0)).toBe(order(0));
    expect(order(0)).not.toBe(order(1));
  });

  it("does not count BOS and padding, wherever they stand", () => {
    expect(blocksOfPass([[BOS, 5, PAD, BOS, 6]], 0, options)[0]?.rows).toBe(2);
    expect(blocksOfPass([[BOS, PAD]], 0, options)).toEqual([]);
  });
});

describe("fills", () => {
  it("fit the buffer, reach the tokens asked for, and count their steps through", () => {
    fc.assert(
      fc.property(sequences, fc.integer({ min: 1, max: 600 }), (list, tokens) => {
        const fills = scheduleFills(list, { ...options, tokens });
        expect(fills.reduce((sum, { rows }) => sum + rows, 0)).toBeGreaterThanOrEqual(tokens);
        let step = 0;
        for (const fill of fills) {
          expect(fill.rows).toBeLessThanOrEqual(options.bufferRows);
          expect(fill.rows).toBe(fill.blocks.reduce((sum, { rows }) => sum + rows, 0));
          expect(fill.firstStep).toBe(step);
          step += fill.steps;
        }
        expect(stepsOf(fills)).toBe(step);
      }),
    );
  });

  it("are trained on in shuffled batches of nearly equal sizes that use every row once", () => {
    const fill = { blocks: [], rows: 101, steps: 4, firstStep: 7 };
    const batches = batchesOfFill(fill, 0);
    expect(batches.map(({ length }) => length).sort()).toEqual([25, 25, 25, 26]);
    const rows = batches.flatMap((batch) => [...batch]);
    const inOrder = Array.from({ length: 101 }, (_, row) => row);
    expect(rows).not.toEqual(inOrder);
    expect(rows.sort((a, b) => a - b)).toEqual(inOrder);
    expect(batchesOfFill({ ...fill, firstStep: 8 }, 0)).not.toEqual(batches);
  });
});
