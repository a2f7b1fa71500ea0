/** @file The hand-written SAE gradient against finite differences and, for thresholds, against its definition. */
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { createRng } from "../../../src/base/rng.js";
import { SAE_ARRAYS, saeStep, type SaeArray, type SaeTensors } from "../../../src/sae-training/sae-objective.js";
import { startBackend } from "../../../src/backends/start-backend.js";

beforeAll(() => startBackend("wasm"));

const [R, D, F] = [5, 3, 4];
const rng = createRng(7, "sae objective");
const normals = (count: number): number[] => Array.from({ length: count }, () => rng.normal());
const SHAPES: Record<SaeArray, number[]> = { W_enc: [D, F], W_dec: [F, D], b_enc: [F], b_dec: [D], threshold: [F] };
const values = {
  W_enc: normals(D * F),
  W_dec: normals(F * D),
  b_enc: normals(F),
  b_dec: normals(D),
  threshold: [0.1, 0.3, 0.2, 100], // The last feature fires nowhere.
};
const x = normals(R * D);

const at = (list: readonly number[], index: number): number => list[index] ?? NaN;

/** Everything of one pass in float64. */
function pass(p: typeof values): { pre: number[]; f: number[]; residual: number[]; loss: number } {
  const cell = (r: number, f: number): number =>
    at(p.b_enc, f) + [0, 1, 2].reduce((sum, d) => sum + at(x, r * D + d) * at(p.W_enc, d * F + f), 0);
  const pre = Array.from({ length: R * F }, (_, i) => cell(Math.floor(i / F), i % F));
  const f = pre.map((value, i) => (value > at(p.threshold, i % F) ? value : 0));
  const residual = Array.from({ length: R * D }, (_, i) => {
    const [r, d] = [Math.floor(i / D), i % D];
    return [0, 1, 2, 3].reduce((sum, k) => sum + at(f, r * F + k) * at(p.W_dec, k * D + d), at(p.b_dec, d) - at(x, i));
  });
  return { pre, f, residual, loss: residual.reduce((sum, e) => sum + e * e, 0) / R };
}

function gradientsOf(options: { sparsity: number; deadPull: number; bandwidth: number }): Record<SaeArray, number[]> {
  const parameters = Object.fromEntries(SAE_ARRAYS.map((name) => [name, tf.tensor(values[name], SHAPES[name])]));
  const { gradients } = saeStep(parameters as unknown as SaeTensors, tf.tensor2d(x, [R, D]), options);
  return Object.fromEntries(SAE_ARRAYS.map((name) => [name, [...gradients[name].dataSync<"float32">()]])) as never;
}

describe("the gradient of an SAE step", () => {
  it.each(["W_enc", "W_dec", "b_enc", "b_dec"] as const)(
    "of %s agrees with finite differences of the squared error",
    (name) => {
      const numeric = values[name].map((value, i) => {
        const moved = (step: number): number => pass({ ...values, [name]: values[name].with(i, value + step) }).loss;
        return (moved(1e-6) - moved(-1e-6)) / 2e-6;
      });
      expect(gradientsOf({ sparsity: 0, deadPull: 0, bandwidth: 0.5 })[name]).toBeAllclose(numeric, {
        rtol: 1e-5,
        atol: 1e-5,
      });
    },
  );

  it("of thresholds is the rectangle kernel's estimate of both terms", () => {
    const [bandwidth, sparsity] = [0.8, 0.05];
    const { pre, residual } = pass(values);
    const expected = values.threshold.map((theta, k) => {
      const near = Array.from({ length: R }, (_, r) => r).filter(
        (r) => Math.abs(at(pre, r * F + k) - theta) < bandwidth / 2,
      );
      const dF = (r: number): number =>
        [0, 1, 2].reduce((sum, d) => sum + ((2 * at(residual, r * D + d)) / R) * at(values.W_dec, k * D + d), 0);
      return near.reduce((sum, r) => sum - (theta / bandwidth) * dF(r) - sparsity / (bandwidth * R), 0);
    });
    expect(expected.some((value) => value !== 0)).toBe(true);
    expect(gradientsOf({ sparsity, deadPull: 0, bandwidth }).threshold).toBeAllclose(expected, {
      rtol: 1e-5,
      atol: 1e-6,
    });
  });

  it("pulls only a feature that fires nowhere towards firing", () => {
    const without = gradientsOf({ sparsity: 0, deadPull: 0, bandwidth: 0.5 });
    const pulled = gradientsOf({ sparsity: 0, deadPull: 0.25, bandwidth: 0.5 });
    const change = (name: "b_enc" | "threshold"): number[] =>
      pulled[name].map((value, k) => value - at(without[name], k));
    expect(change("b_enc")).toBeAllclose([0, 0, 0, -0.25], { atol: 1e-6 });
    expect(change("threshold")).toBeAllclose([0, 0, 0, 0.25], { atol: 1e-6 });
  });
});
