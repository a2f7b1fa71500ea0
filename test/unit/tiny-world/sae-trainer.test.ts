/** @file SAE training on made rows with a known sparse structure. */
import { beforeAll, describe, expect, it } from "vitest";
import { createRng } from "../../../src/base/rng.js";
import { measureSae } from "../../../tools/tiny-world/sae-figures.js";
import { trainSae, type ActivationRows, type SaeTraining } from "../../../tools/tiny-world/sae-trainer.js";
import type { SaeWeights } from "../../../src/weights/sae-folder.js";
import { startBackend } from "../../../src/backends/start-backend.js";

beforeAll(() => startBackend("wasm"));

const [D, CAUSES] = [16, 24];

/** Rows that are sums of three of 24 random directions, around a common offset. */
function sparseRows(count: number, label: string): ActivationRows {
  const language = createRng(11, "directions");
  const directions = Array.from({ length: CAUSES * D }, () => language.normal());
  const rng = createRng(11, label);
  const values = new Float32Array(count * D).fill(0.7);
  for (let row = 0; row < count; row++)
    for (let cause = 0; cause < 3; cause++) {
      const [from, size] = [rng.int(CAUSES) * D, 1 + rng.uniform()];
      for (let d = 0; d < D; d++) values[row * D + d] = (values[row * D + d] ?? 0) + size * (directions[from + d] ?? 0);
    }
  return { values, dIn: D };
}

const training: SaeTraining = {
  seed: 0,
  dSae: 64,
  steps: 400,
  batch: 128,
  peakLearningRate: 3e-3,
  warmUpSteps: 20,
  targetFvu: 0.12,
  sparsity: 1e-3,
  steering: 0.02,
  deadPull: 1e-2,
  bandwidth: 0.1,
  initialThreshold: 0.01,
};

const flat = (weights: SaeWeights): number[] =>
  [weights.W_enc, weights.W_dec, weights.b_enc, weights.b_dec, weights.threshold].flatMap((array) => [...array]);

describe("an SAE", () => {
  it("comes near the FVU it is steered for, sparsely, on rows it has not seen", () => {
    const weights = trainSae(sparseRows(4000, "training"), "site", training);
    const figures = measureSae(weights, sparseRows(1000, "figures"));
    expect(figures.fvu).toBeGreaterThan(0.05);
    expect(figures.fvu).toBeLessThan(0.25);
    expect(figures.l0).toBeLessThan(16);
    expect(figures.dead).toBeLessThan(16);
  });

  it("has decoder rows of norm 1, thresholds of at least 0, and the same bits from the same seed", () => {
    const rows = sparseRows(500, "training");
    const short = { ...training, steps: 20 };
    const weights = trainSae(rows, "site", short);
    for (let f = 0; f < 64; f++) expect(Math.hypot(...weights.W_dec.subarray(f * D, (f + 1) * D))).toBeCloseTo(1, 5);
    expect(Math.min(...weights.threshold)).toBeGreaterThanOrEqual(0);
    expect(flat(trainSae(rows, "site", short))).toEqual(flat(weights));
    expect(flat(trainSae(rows, "another site", short))).not.toEqual(flat(weights));
  });

  it("grows with the scale of its rows: matrices stay, biases and thresholds scale", () => {
    const rows = sparseRows(500, "training");
    const doubled = { ...rows, values: rows.values.map((value) => 2 * value) };
    const short = { ...training, steps: 10 };
    const [one, two] = [trainSae(rows, "site", short), trainSae(doubled, "site", short)];
    expect(two.W_enc).toEqual(one.W_enc);
    expect(two.threshold).toBeAllclose(
      one.threshold.map((value) => 2 * value),
      { rtol: 1e-6 },
    );
    expect(two.b_dec).toBeAllclose(
      one.b_dec.map((value) => 2 * value),
      { rtol: 1e-6 },
    );
  });

  it("leaves no tensor behind", async () => {
    const rows = sparseRows(300, "training");
    await expect(() => {
      measureSae(trainSae(rows, "site", { ...training, steps: 3 }), rows);
    }).toLeakNoTensors();
  });
});

describe("SAE figures", () => {
  it("follow their definitions", () => {
    const identity = Float32Array.from([1, 0, 0, 1]);
    const zeros = new Float32Array(2);
    const weights = { dIn: 2, dSae: 2, W_enc: identity, W_dec: identity, b_enc: zeros, b_dec: zeros };
    const rows = { values: Float32Array.from([1, 2, 3, -4]), dIn: 2 };
    const figures = measureSae({ ...weights, threshold: Float32Array.from([1.5, 5]) }, rows);
    expect(figures.fvu).toBeCloseTo((1 + 4 + 16) / (2 + 18), 6); // Only the 3 is reconstructed.
    expect(figures.l0).toBe(0.5);
    expect(figures.largestL0).toBe(1);
    expect(figures.dead).toBe(1);
  });
});
