import { describe, expect, it } from "vitest";
import { createRng } from "../../../src/base/rng.js";
import { CenteredSums, fitRidge, type RidgeFit } from "../../../src/stats/ridge.js";

/** The fit of rows that come in blocks of the given numbers of rows. */
function fitted(
  x: Float32Array,
  y: Float32Array,
  width: number,
  blocks: readonly number[],
  ridge: number,
): Promise<RidgeFit> {
  const sums = new CenteredSums(width);
  let row = 0;
  for (const rows of blocks) {
    sums.add(x.subarray(row * width, (row + rows) * width), y.subarray(row * width, (row + rows) * width));
    row += rows;
  }
  expect(sums.count).toBe(x.length / width);
  return fitRidge(sums, ridge);
}

describe("a ridge fit", () => {
  it("of one number is the one that a hand finds, and explains the share that is left of its residuals", async () => {
    // Less their means x is -1, 1 and y is -2, 2: x^2 = 2, xy = 4, y^2 = 8, and the penalty is 1.
    const { A, b, explained } = await fitted(Float32Array.of(0, 2), Float32Array.of(1, 5), 1, [2], 0.5);
    expect([...A, ...b, explained]).toBeAllclose([4 / 3, 3 - 4 / 3, 8 / 9], { rtol: 0, atol: 1e-15 });
  });

  it("has a row for each number of y, and shrinks with the penalty", async () => {
    // x^T x is twice the identity, so that a ridge of 1 halves [[1, 2], [3, 4]].
    const x = Float32Array.of(1, 0, -1, 0, 0, 1, 0, -1);
    const y = Float32Array.of(11, 23, 9, 17, 12, 24, 8, 16);
    const { A, b } = await fitted(x, y, 2, [2, 2], 1);
    expect([...A]).toEqual([0.5, 1, 1.5, 2]);
    expect([...b]).toEqual([10, 20]);
  });

  it("depends on the blocks by rounding alone, and loses no digits where means are far from 0", async () => {
    const rng = createRng(5, "rows");
    const [d, rows] = [5, 60];
    const steps = (): Float32Array => Float32Array.from({ length: d * rows }, () => rng.int(2001) / 64 - 15.625);
    const [x, noise] = [steps(), steps()];
    const y = x.map((one, i) => 2 * one + (x[i - 1] ?? 0) + (noise[i] ?? NaN) / 8);
    const whole = await fitted(x, y, d, [rows], 1e-3);
    for (const blocks of [[20, 40], [1, 1, 58], Array.from({ length: rows }, () => 1)]) {
      const far = await fitted(
        x.map((one) => one + 4096),
        y.map((one) => one - 8192),
        d,
        blocks,
        1e-3,
      );
      expect(far.A).toBeAllclose(whole.A, { rtol: 1e-9, atol: 0 });
      expect([far.explained]).toBeAllclose([whole.explained], { rtol: 1e-9, atol: 0 });
      // A mean that moves takes b with it: b - A mean.
      const moved = whole.b.map(
        (one, i) => one - 8192 - 4096 * whole.A.subarray(i * d, (i + 1) * d).reduce((sum, value) => sum + value, 0),
      );
      expect(far.b).toBeAllclose(moved, { rtol: 1e-9, atol: 0 });
    }
  });

  it("pauses while it solves, and gives the same bits", async () => {
    const rng = createRng(6, "rows");
    const [d, rows] = [70, 90];
    const numbers = (): Float32Array => Float32Array.from({ length: d * rows }, () => rng.normal());
    const sums = new CenteredSums(d);
    sums.add(numbers(), numbers());
    let pauses = 0;
    const paused = await fitRidge(sums, 1e-2, () => {
      pauses += 1;
      return Promise.resolve();
    });
    expect(pauses).toBe(4);
    expect(await fitRidge(sums, 1e-2)).toEqual(paused);
    // The normal equations: (X^T X + l I) a = X^T y for each number of y.
    const penalty =
      (1e-2 * Array.from({ length: d }, (_, i) => sums.xx[i * d + i] ?? NaN).reduce((a, b) => a + b, 0)) / d;
    const lower = (i: number, j: number): number => sums.xx[Math.max(i, j) * d + Math.min(i, j)] ?? NaN;
    const left = Float64Array.from({ length: d * d }, (_, at) => {
      const [of, i] = [Math.floor(at / d), at % d];
      const row = paused.A.subarray(of * d, (of + 1) * d);
      return row.reduce((sum, a, j) => sum + a * lower(i, j), penalty * (row[i] ?? NaN));
    });
    expect(left).toBeAllclose(sums.yx, { rtol: 1e-12, atol: 0 });
  });

  it("is the mean where x does not vary, and explains nothing of y; a y that does not vary has no share", async () => {
    const constant = Float32Array.of(3, 3, 3);
    const flat = await fitted(constant, Float32Array.of(1, 2, 6), 1, [3], 1e-3);
    expect([...flat.A, ...flat.b, flat.explained]).toEqual([0, 3, 0]);
    const still = await fitted(Float32Array.of(1, 2, 6), constant, 1, [3], 1e-3);
    expect([...still.A, ...still.b, still.explained]).toEqual([0, 3, Number.NaN]);
  });
});
