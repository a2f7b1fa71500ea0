import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { must } from "../../../src/base/assert.js";
import { createRng } from "../../../src/base/rng.js";
import { startBackend } from "../../../src/backends/start-backend.js";
import "../../numeric/matchers.js";

describe("startBackend", () => {
  it("leaves the process's listeners as they were, and may be called again", async () => {
    const listeners = (): unknown[][] => [
      process.rawListeners("uncaughtException"),
      process.rawListeners("unhandledRejection"),
    ];
    const before = listeners();
    await startBackend("wasm");
    await startBackend("wasm");
    expect(listeners()).toEqual(before);
    expect(tf.getBackend()).toBe("wasm");
  });
});

describe("registered gradients", () => {
  beforeAll(() => startBackend("wasm"));
  const rng = createRng(1, "gradients");
  const positive = (...shape: number[]): tf.Tensor =>
    tf.tensor(
      Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => 0.5 + rng.uniform()),
      shape,
    );
  let matrix: tf.Tensor, batch: tf.Tensor, tall: tf.Tensor;
  beforeAll(() => {
    [matrix, batch, tall] = [positive(3, 4), positive(2, 3, 4), positive(4, 3)];
  });

  const cases: Record<string, readonly [of: (x: tf.Tensor) => tf.Tensor, shape: number[]]> = {
    "add, broadcast": [(x) => tf.add(x, matrix), [4]],
    sub: [(x) => tf.sub(matrix, x), [3, 1]],
    "mul, broadcast": [(x) => tf.mul(x, matrix), [1, 4]],
    "mul of itself": [(x) => tf.mul(x, x), [5]],
    "div, numerator": [(x) => tf.div(x, matrix), [3, 4]],
    "div, denominator": [(x) => tf.div(matrix, x), [4]],
    "matMul, left": [(x) => tf.matMul(x, tall), [2, 4]],
    "matMul, right": [(x) => tf.matMul(matrix, x), [4, 2]],
    "matMul, batched, left": [(x) => tf.matMul(x, batch), [2, 5, 3]],
    "matMul, batched, right": [(x) => tf.matMul(batch, x), [2, 4, 2]],
    neg: [tf.neg, [3]],
    clone: [tf.clone, [3]],
    square: [tf.square, [3]],
    exp: [tf.exp, [3]],
    log: [tf.log, [3]],
    relu: [(x) => tf.relu(tf.sub(x, 1)), [9]],
    rsqrt: [tf.rsqrt, [3]],
    sqrt: [tf.sqrt, [3]],
    sigmoid: [tf.sigmoid, [3]],
    tanh: [tf.tanh, [3]],
    "sum over one axis": [(x) => tf.sum(x, 1), [2, 3, 2]],
    "sum, axis kept": [(x) => tf.sum(x, -1, true), [2, 3]],
    "mean over all": [(x) => tf.mean(x), [2, 3]],
    "mean over the last axis": [(x) => tf.mean(x, -1, true), [2, 3]],
    softmax: [(x) => tf.softmax(x), [2, 4]],
    logSoftmax: [(x) => tf.logSoftmax(x), [2, 4]],
    reshape: [(x) => tf.reshape(x, [3, 2]), [2, 3]],
    expandDims: [(x) => tf.expandDims(x, 1), [2, 3]],
    transpose: [(x) => tf.transpose(x, [2, 0, 3, 1]), [2, 3, 2, 2]],
    slice: [(x) => tf.slice(x, [1, 0, 2], [1, 3, 2]), [2, 3, 5]],
    concat: [(x) => tf.concat([x, tf.square(x)], 1), [2, 3]],
    split: [(x) => must(tf.split(x, [1, 2], 1)[1], "part"), [2, 3]],
    cast: [(x) => tf.cast(x, "float32"), [3]],
  };

  it.each(Object.entries(cases))("%s agrees with finite differences", (_name, [of, shape]) => {
    const x = positive(...shape);
    const weights = tf.tidy(() => tf.mul(tf.randomUniform(of(x).shape, 0.5, 1.5, "float32", 3), 1));
    const weighted = (y: tf.Tensor): tf.Tensor => tf.sum(tf.mul(of(y), weights));
    const exact = tf.tidy(() => tf.grad(weighted)(x).dataSync());
    const values = x.dataSync();
    const step = 2 ** -7;
    const moved = (i: number, by: number): number =>
      tf.tidy(() =>
        must(
          weighted(
            tf.tensor(
              Float32Array.from(values, (v, j) => (j === i ? v + by : v)),
              x.shape,
            ),
          ).dataSync()[0],
          "value",
        ),
      );
    const estimated = Array.from(values, (_, i) => (moved(i, step) - moved(i, -step)) / (2 * step));
    expect(exact).toBeAllclose(estimated, { rtol: 2e-3, atol: 1e-3 });
  });

  it("refuses matMul with a transpose flag, which would leave the fast path", () => {
    const flagged = (x: tf.Tensor): tf.Tensor => tf.matMul(x, matrix, true);
    expect(() => tf.tidy(() => tf.grad(flagged)(positive(3, 1)))).toThrow(/transpose/);
  });
});
