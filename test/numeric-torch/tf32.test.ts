import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { computeScores } from "../numeric/score-by-name.js";
import type { SplicedModel } from "../../src/passes/spliced-model.js";
import { denseScores, meanOverPrompts } from "../numeric/dense.js";
import { goldenArrays, goldenPrompts, goldenSpliced } from "../numeric/golden.js";
import { GOLDEN_LENGTH as T, GOLDEN_WIDTH as F } from "../numeric/golden-sites.js";

/** TF32 keeps 11 bits where float32 keeps 24: as in bfloat16.test.ts, an eighth of bfloat16's. On a CPU the setting does nothing. */
const RTOL = process.env["PATCHBAY_TORCH_TF32"] === "1" ? 0.05 / 8 : 1e-4;

describe("AtP in the precision that PATCHBAY_TORCH_TF32 names", () => {
  let spliced: SplicedModel;
  beforeAll(async () => {
    spliced = await goldenSpliced();
  });
  afterAll(() => {
    spliced.dispose();
  });

  it(`agrees with the reference within ${String(RTOL)} of the largest score`, async () => {
    const expected = await goldenArrays("scores-atp");
    const scores = await computeScores(spliced, goldenPrompts("pairs"), "max", { name: "atp", method: "atp" });
    for (const [hook, values] of denseScores(scores, T, F))
      expect(meanOverPrompts(values), hook).toBeAllclose(expected.get(hook), { rtol: RTOL });
  });
});
