import { describe, expect, it } from "vitest";
import { blockRows, fitGroups, groupRows } from "../../../../src/experiments/error-fit/fit-blocks.js";
import type { Plan } from "../../../../src/plan/plan.js";

const prompt = (length: number, line: number): Plan["prompts"][number] => {
  const ids = Array.from({ length }, (_, t) => t);
  return { line, clean: ids, corrupted: ids, correct: 1, incorrect: [2] };
};

/** A plan whose fit has prompts of these lengths, in blocks of two, and room for so many rows of residual stream. */
function planOf(lengths: readonly number[], rows: number): Plan {
  const dModel = 4;
  const blockMib = (2 * rows * dModel * 4) / 2 ** 20;
  return {
    fitPrompts: lengths.map((length, i) => prompt(length, i + 1)),
    blocks: { prompts: 2 },
    engine: { blockMib },
    shape: { dModel },
  } as unknown as Plan;
}

const linesOf = (plan: Plan): number[][][] =>
  fitGroups(plan).map((group) => group.map((block) => block.map(({ line }) => line)));

describe("the fit's prompts", () => {
  it("are in blocks of one length, all of them in one group where memory holds their residual streams", () => {
    const plan = planOf([3, 5, 3, 3], 28);
    expect(groupRows(plan)).toBe(28);
    expect(linesOf(plan)).toEqual([[[1, 3], [4], [2]]]);
    expect(fitGroups(plan).flat().map(blockRows)).toEqual([12, 6, 10]);
  });

  it("are in as many groups as memory needs otherwise, and a block that is too large alone is a group", () => {
    expect(linesOf(planOf([3, 5, 3, 3], 27))).toEqual([[[1, 3], [4]], [[2]]]);
    expect(linesOf(planOf([3, 5, 3, 3], 1))).toEqual([[[1, 3]], [[4]], [[2]]]);
  });
});
