/**
 * @file Numeric matchers. Importing this file adds them.
 *
 * - `expect(actual).toBeAllclose(expected, { rtol, atol })`: equal lengths and, at every index,
 *   `|actual - expected| <= max(atol, rtol * largest |expected|)`. The scale is the whole array's largest magnitude.
 * - `await expect(action).toLeakNoTensors()`: as many tensors after `action` as before.
 */
import * as tf from "@tensorflow/tfjs-core";
import { expect } from "vitest";

/** Tolerances: absolute, and relative to the expected array's largest magnitude; the larger one counts. */
export interface Tolerance {
  readonly rtol?: number;
  readonly atol?: number;
}

declare module "vitest" {
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- must repeat vitest's own declaration
  interface Matchers<T = any> {
    toBeAllclose(expected: ArrayLike<number>, tolerance?: Tolerance): T;
    toLeakNoTensors(): Promise<T>;
  }
}

/** Largest |a - b|, or NaN where either holds a NaN; and where it is. */
export function largestDifference(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
): { readonly value: number; readonly index: number } {
  let worst = { value: 0, index: -1 };
  for (let i = 0; i < a.length; i++) {
    const value = Math.abs(Number(a[i]) - Number(b[i]));
    if (Number.isNaN(value)) return { value, index: i };
    if (value > worst.value) worst = { value, index: i };
  }
  return worst;
}

/** Largest magnitude of an array. */
export function largestMagnitude(values: ArrayLike<number>): number {
  let largest = 0;
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, Math.abs(Number(values[i])));
  return largest;
}

expect.extend({
  toBeAllclose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: Tolerance = {}) {
    const { rtol = 1e-4, atol = 2e-5 } = tolerance;
    const sameLength = actual.length === expected.length;
    const allowed = Math.max(atol, rtol * largestMagnitude(expected));
    const worst = largestDifference(actual, expected);
    return {
      pass: sameLength && worst.value <= allowed,
      message: () =>
        sameLength
          ? `largest difference ${String(worst.value)} (${String(actual[worst.index])} against ${String(expected[worst.index])} at ${String(worst.index)}), allowed ${String(allowed)}`
          : `${String(actual.length)} values against ${String(expected.length)}`,
    };
  },
  async toLeakNoTensors(action: () => unknown) {
    const before = tf.memory().numTensors;
    await action();
    const after = tf.memory().numTensors;
    return { pass: after === before, message: () => `${String(before)} tensors before, ${String(after)} after` };
  },
});
