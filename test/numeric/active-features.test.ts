import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decodeActive, differences, eachEntry, encodeActive, scoreActive } from "../../src/sae/active-features.js";
import { hostValues } from "../../src/model/tensor-scope.js";
import { encode, loadSae, type Sae } from "../../src/sae/sae.js";
import { startBackend } from "../../src/worker/backends/start-backend.js";
import { TEST_BACKEND } from "./test-backend.js";
import "./matchers.js";

/** Widths that are no multiple of a stripe, a vector or a chunk. */
const [D, F, R] = [203, 517, 9];

const numbers = (size: number, seed: number): Float32Array =>
  Float32Array.from({ length: size }, (_, i) => Math.sin(seed + 1.7 * i) * Math.cos(0.3 * i * seed));

describe("lists of active features", () => {
  let sae: Sae;
  let x_RD: tf.Tensor;
  beforeAll(async () => {
    await startBackend(TEST_BACKEND);
    sae = loadSae({
      dIn: D,
      dSae: F,
      W_enc: numbers(D * F, 1),
      W_dec: numbers(D * F, 2),
      b_enc: numbers(F, 3),
      b_dec: numbers(D, 4),
      threshold: numbers(F, 5).map((value) => 3 + value),
    });
    const rows = numbers(R * D, 6);
    rows.fill(0, 2 * D, 3 * D); // A row in which next to nothing fires.
    x_RD = tf.tensor2d(rows, [R, D]);
  });
  afterAll(() => {
    sae.dispose();
    x_RD.dispose();
  });

  const denseOf = (active: ReturnType<typeof encodeActive>): Float32Array => {
    const values = new Float32Array(R * F);
    eachEntry(active.pointer, (row, entry) => {
      values[row * F + (active.feature[entry] ?? -1)] = active.value[entry] ?? NaN;
    });
    return values;
  };

  it("hold what the dense encoder gives, in ascending order", () => {
    const active = encodeActive(sae, x_RD);
    const dense = tf.tidy(() => encode(sae, x_RD).dataSync<"float32">());
    expect(active.feature.length).toBeGreaterThan(R);
    expect(active.feature.length).toBeLessThan((R * F) / 2);
    expect(denseOf(active)).toBeAllclose(dense, { rtol: 1e-5, atol: 1e-5 });
    for (let row = 0; row < R; row++) {
      const mine = [...active.feature.subarray(active.pointer[row], active.pointer[row + 1])];
      expect(mine).toEqual([...mine].sort((a, b) => a - b));
    }
  });

  it("decode to the dense decoder's product", () => {
    const active = encodeActive(sae, x_RD);
    const found = tf.tidy(() => decodeActive(sae, active).dataSync<"float32">());
    const dense = tf.tidy(() =>
      tf.matMul(tf.tensor2d(denseOf(active), [R, F]), sae.W_dec_FD as tf.Tensor2D).dataSync<"float32">(),
    );
    expect(found).toBeAllclose(dense, { rtol: 1e-5, atol: 1e-4 });
  });

  it("give each entry the product of its decoder row with its row's gradient", () => {
    const active = encodeActive(sae, x_RD);
    const { sum_RD, dots: found } = scoreActive(sae, active, x_RD);
    const decoded = decodeActive(sae, active);
    expect(sum_RD.dataSync<"float32">()).toEqual(decoded.dataSync<"float32">());
    tf.dispose([sum_RD, decoded]);
    const [W, x] = [numbers(D * F, 2), x_RD.dataSync<"float32">()];
    const expected = new Float64Array(found.length);
    eachEntry(active.pointer, (row, entry) => {
      const feature = active.feature[entry] ?? -1;
      for (let d = 0; d < D; d++)
        expected[entry] = (expected[entry] ?? 0) + (W[feature * D + d] ?? 0) * (x[row * D + d] ?? 0);
    });
    expect(found).toBeAllclose(expected, { rtol: 1e-5, atol: 1e-4 });
  });

  it("differ from themselves in nothing, and from others in exactly what changes", () => {
    const active = encodeActive(sae, x_RD);
    expect(differences(active, active).feature).toHaveLength(0);
    const other = hostValues(() => encodeActive(sae, tf.mul(x_RD, 1.25)));
    const changes = denseOf(differences(active, other));
    const [a, b] = [denseOf(active), denseOf(other)];
    expect([...changes]).toEqual([...b.map((value, i) => Math.fround(value - (a[i] ?? NaN)))]);
  });

  it("leak no tensors", async () => {
    await expect(() => {
      const active = encodeActive(sae, x_RD);
      scoreActive(sae, active, x_RD).sum_RD.dispose();
      decodeActive(sae, active).dispose();
    }).toLeakNoTensors();
  });

  it("show what is not a number", () => {
    const found = hostValues(() => encodeActive(sae, tf.fill([1, D], NaN)));
    expect([...found.value].some(Number.isNaN)).toBe(true);
  });
});
