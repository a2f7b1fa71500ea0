import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  decodeActive,
  differences,
  eachEntry,
  encodeActive,
  encodeChanges,
  scoreActive,
} from "../../src/sae/active-features.js";
import { hostValues } from "../../src/model/tensor-scope.js";
import { encode, loadSae, type Sae } from "../../src/sae/sae.js";
import { startBackend } from "../../src/backends/start-backend.js";
import { TEST_BACKEND } from "./test-backend.js";
import "./matchers.js";

/** Widths that are no multiple of a stripe, a vector or a chunk. */
const [D, F, R] = [203, 517, 9];

const numbers = (size: number, seed: number): Float32Array =>
  Float32Array.from({ length: size }, (_, i) => Math.sin(seed + 1.7 * i) * Math.cos(0.3 * i * seed));

const saeWith = (b_enc: Float32Array, threshold: Float32Array): Sae =>
  loadSae({
    dIn: D,
    dSae: F,
    W_enc: numbers(D * F, 1),
    W_dec: numbers(D * F, 2),
    b_enc,
    b_dec: numbers(D, 4),
    threshold,
  });
const biases = numbers(F, 3);
const thresholds = numbers(F, 5).map((value) => 3 + value);

describe("lists of active features", () => {
  let sae: Sae;
  let x_RD: tf.Tensor;
  beforeAll(async () => {
    await startBackend(TEST_BACKEND);
    sae = saeWith(biases, thresholds);
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

  it("of two runs change by their difference, what is equal left out", () => {
    const y = x_RD.dataSync<"float32">().map((value, i) => (Math.floor(i / D) % 2 === 0 ? value : 1.25 * value));
    const { changes, other } = hostValues(() => {
      const y_RD = tf.tensor2d(y, [R, D]);
      return { changes: encodeChanges(sae, x_RD, y_RD), other: encodeActive(sae, y_RD) };
    });
    expect(changes.value.includes(0)).toBe(false);
    const [a, b] = [denseOf(encodeActive(sae, x_RD)), denseOf(other)];
    expect(denseOf(changes)).toBeAllclose(
      b.map((value, i) => value - (a[i] ?? NaN)),
      { rtol: 1e-6, atol: 1e-5 },
    );
    const counts = Array.from({ length: R }, (_, row) => (changes.pointer[row + 1] ?? 0) - (changes.pointer[row] ?? 0));
    // In row 3 nothing fires in either.
    expect(counts.map((count) => count > 0)).toEqual([false, true, false, false, false, true, false, true, false]);
    expect(changes.pointer[R]).toBe(changes.feature.length);
  });

  it("leak no tensors", async () => {
    await expect(() => {
      encodeChanges(sae, x_RD, x_RD);
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

describe("lists of many rows", () => {
  const rows = 75;
  /** Some features without bias and threshold, so that numbers of any size can make them fire. */
  const unbiased = (values: Float32Array): Float32Array => values.map((value, i) => (i % 5 === 0 ? 0 : value));
  const W_enc = numbers(D * F, 1);
  const [b_enc, threshold] = [unbiased(biases), unbiased(thresholds)];
  let sae: Sae;
  beforeAll(async () => {
    await startBackend(TEST_BACKEND);
    sae = saeWith(b_enc, threshold);
  });
  afterAll(() => {
    sae.dispose();
  });

  const listsOf = (x: Float32Array): ReturnType<typeof encodeActive> =>
    hostValues(() => encodeActive(sae, tf.tensor2d(x, [rows, D])));

  /** Asserts that what is listed is what fires in float64, but for what float32 cannot tell from the threshold. */
  function expectToFire(x: Float32Array, { pointer, feature, value }: ReturnType<typeof encodeActive>): number {
    let fired = 0;
    for (let row = 0; row < rows; row++) {
      const mine = new Map<number, number>();
      for (let entry = pointer[row] ?? 0; entry < (pointer[row + 1] ?? 0); entry++)
        mine.set(feature[entry] ?? -1, value[entry] ?? NaN);
      for (let f = 0; f < F; f++) {
        let [pre, size] = [b_enc[f] ?? 0, Math.abs(b_enc[f] ?? 0)];
        for (let d = 0; d < D; d++) {
          const one = (x[row * D + d] ?? 0) * (W_enc[d * F + f] ?? 0);
          pre += one;
          size += Math.abs(one);
        }
        const gate = threshold[f] ?? 0;
        if (Math.abs(pre - gate) <= 1e-6 * (size + gate)) continue;
        expect(mine.has(f), `row ${String(row)}, feature ${String(f)}`).toBe(pre > gate);
        if (pre <= gate) continue;
        expect(Math.abs((mine.get(f) ?? NaN) - pre)).toBeLessThanOrEqual(1e-6 * size);
        fired += 1;
      }
    }
    return fired;
  }

  it("hold what fires, next to the threshold too", () => {
    const x = numbers(rows * D, 6);
    expect(expectToFire(x, listsOf(x))).toBeGreaterThan(rows);
  });

  it("hold what fires in rows of any size", () => {
    const x = numbers(rows * D, 6);
    for (let i = 0; i < x.length; i++) x[i] = (x[i] ?? 0) * 10 ** (4 * ((Math.floor(i / D) % 17) - 8));
    expect(expectToFire(x, listsOf(x))).toBeGreaterThan(rows * 10);
  });

  it("are equal, to the bit, where two runs are", () => {
    const clean = numbers(rows * D, 6);
    const donor = clean.map((value, i) => (Math.floor(i / D) % 10 === 3 ? value * 1.5 : value));
    const together = hostValues(() => encodeChanges(sae, tf.tensor2d(clean, [rows, D]), tf.tensor2d(donor, [rows, D])));
    for (const { pointer } of [differences(listsOf(clean), listsOf(donor)), together]) {
      const counts = Array.from({ length: rows }, (_, row) => (pointer[row + 1] ?? 0) - (pointer[row] ?? 0));
      expect(counts.flatMap((count, row) => (count > 0 ? [row] : []))).toEqual([3, 13, 23, 33, 43, 53, 63, 73]);
    }
  });

  it("show what is not a number or infinite", () => {
    const x = numbers(rows * D, 6);
    x[4 * D + 7] = NaN;
    x[9 * D + 7] = Infinity;
    x.fill(3e38, 20 * D, 21 * D);
    const { pointer, value } = listsOf(x);
    const valuesOf = (row: number): number[] => [...value.subarray(pointer[row], pointer[row + 1])];
    expect(valuesOf(4)).toHaveLength(F);
    expect(valuesOf(4).every(Number.isNaN)).toBe(true);
    expect(valuesOf(9)).toContain(Infinity);
    expect(valuesOf(20).some((one) => !Number.isFinite(one))).toBe(true);
    expect(valuesOf(5).every(Number.isFinite)).toBe(true);
  });
});
