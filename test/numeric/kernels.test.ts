import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { beforeAll, describe, expect, it } from "vitest";
import { createRng } from "../../src/base/rng.js";
import { startBackend } from "../../src/backends/start-backend.js";
import { TEST_BACKEND } from "./test-backend.js";

type Inputs = (...shape: number[]) => tf.Tensor;
type Case = (x: Inputs, positive: Inputs, index: (size: number, ...shape: number[]) => tf.Tensor) => tf.Tensor[];

const elementwise = (op: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor, second: "any" | "positive"): Case => {
  return (x, positive) => {
    const other = second === "any" ? x : positive;
    return [
      op(x(3, 4), other(3, 4)),
      op(x(3, 4), other(4)),
      op(x(3, 1), other(1, 4)),
      op(x(2, 3, 4), other(3, 1)),
      op(x(5), other()),
      op(x(), other(2, 2)),
    ];
  };
};

const each = (op: (a: tf.Tensor) => tf.Tensor, kind: "any" | "positive"): Case => {
  return (x, positive) => [[], [7], [3, 5], [2, 3, 2, 5]].map((shape) => op((kind === "any" ? x : positive)(...shape)));
};

const reduced = (op: (x: tf.Tensor, axis?: number | number[], keepDims?: boolean) => tf.Tensor): Case => {
  return (x) => [
    op(x(6)),
    op(x(3, 4)),
    op(x(3, 4), 0),
    op(x(3, 4), -1, true),
    op(x(2, 3, 4), [0, 2]),
    op(x(2, 3, 4), [1], true),
    op(x(1, 4), 0),
  ];
};

/** Every kernel that our programs and their gradients use. */
const CASES: Record<string, Case> = {
  add: elementwise(tf.add, "any"),
  sub: elementwise(tf.sub, "any"),
  mul: elementwise(tf.mul, "any"),
  div: elementwise(tf.div, "positive"),
  maximum: elementwise(tf.maximum, "any"),
  minimum: elementwise(tf.minimum, "any"),
  pow: (x, positive) => [tf.pow(positive(3, 4), x(4)), tf.pow(x(3, 4), tf.scalar(2))],
  equal: (x) => [tf.equal(tf.cast(x(9, 9), "int32"), tf.cast(x(9), "int32"))],
  greater: elementwise(tf.greater, "any"),
  greaterEqual: elementwise(tf.greaterEqual, "any"),
  less: elementwise(tf.less, "any"),
  neg: each(tf.neg, "any"),
  abs: each(tf.abs, "any"),
  exp: each(tf.exp, "any"),
  log: each(tf.log, "positive"),
  sqrt: each(tf.sqrt, "positive"),
  rsqrt: each(tf.rsqrt, "positive"),
  square: each(tf.square, "any"),
  relu: each(tf.relu, "any"),
  sigmoid: each(tf.sigmoid, "any"),
  tanh: each(tf.tanh, "any"),
  step: each((x) => tf.step(x), "any"),
  clone: each((x) => tf.clone(x), "any"),
  zerosLike: each((x) => tf.zerosLike(x), "any"),
  onesLike: each((x) => tf.onesLike(x), "any"),
  sum: reduced(tf.sum),
  mean: reduced(tf.mean),
  max: reduced(tf.max),
  softmax: (x) => [tf.softmax(x(7)), tf.softmax(x(3, 5)), tf.softmax(x(2, 3, 4))],
  logSoftmax: (x) => [tf.logSoftmax(x(3, 5))],
  "softmax of masked scores": (x) => [tf.softmax(tf.add(x(2, 3), tf.tensor2d([[0, -1e30, 0]])))],
  matMul: (x) => [
    tf.matMul(x(3, 4), x(4, 5)),
    tf.matMul(x(4, 3), x(4, 5), true),
    tf.matMul(x(3, 4), x(5, 4), false, true),
    tf.matMul(x(2, 3, 4), x(2, 4, 5)),
    tf.matMul(x(2, 4, 3), x(2, 4, 5), true),
    tf.matMul(x(2, 3, 4), x(2, 5, 4), false, true),
    tf.matMul(x(1, 4), x(4, 1)),
  ],
  "matMul of transposed, sliced and reshaped tensors": (x) => [
    tf.matMul(tf.transpose(x(4, 3)), tf.transpose(x(5, 4))),
    tf.matMul(tf.slice(x(6, 5), [2, 1], [3, 4]), tf.reshape(tf.transpose(x(2, 4, 3), [1, 0, 2]), [4, 6])),
  ],
  reshape: (x) => [tf.reshape(x(3, 4), [2, 6]), tf.reshape(x(2, 3, 4), [-1, 4]), tf.reshape(x(1, 1), [])],
  "reshape of a transposed tensor": (x) => [tf.reshape(tf.transpose(x(2, 3, 4), [2, 0, 1]), [4, 6])],
  expandDims: (x) => [tf.expandDims(x(3, 4), 0), tf.expandDims(x(3, 4), 1), tf.expandDims(x(3, 4), -1)],
  transpose: (x) => [
    tf.transpose(x(3, 4)),
    tf.transpose(x(2, 3, 4, 2), [0, 2, 1, 3]),
    tf.transpose(x(2, 3, 4), [2, 0, 1]),
  ],
  slice: (x) => [
    tf.slice(x(5, 4), [1, 0], [3, 4]),
    tf.slice(x(5, 4), [1, 2], [3, 2]),
    tf.slice(x(2, 5, 4), [0, 4, 0], [2, 1, -1]),
    tf.slice(x(6), 2),
  ],
  "slice of a transposed tensor": (x) => [tf.slice(tf.transpose(x(4, 6)), [1, 1], [4, 2])],
  split: (x) => [...tf.split(x(6, 4), 3), ...tf.split(x(3, 6), [1, 2, 3], 1), ...tf.split(x(3, 6), [2, -1], 1)],
  concat: (x) => [
    tf.concat([x(2, 3), x(4, 3)], 0),
    tf.concat([x(2, 3), x(2, 1), x(2, 2)], -1),
    tf.concat([tf.transpose(x(3, 2)), x(1, 3)], 0),
    tf.concat([x(4)]),
  ],
  addN: (x) => [tf.addN([x(3, 4)]), tf.addN([x(3, 4), x(3, 4)]), tf.addN([x(5), x(5), x(5), x(5)])],
  pad: (x) => [
    tf.pad(x(2, 3), [
      [1, 2],
      [0, 3],
    ]),
    tf.pad(x(4), [[2, 0]], 7),
  ],
  tile: (x) => [tf.tile(x(2, 3), [2, 1]), tf.tile(x(1, 3), [4, 2])],
  gather: (x, _positive, index) => [
    tf.gather(x(5, 3), index(5, 7)),
    tf.gather(x(3, 5), index(5, 4), 1),
    tf.gather(x(5, 2), index(5, 2, 3)),
    tf.gather(tf.transpose(x(3, 5)), index(5, 4)),
  ],
  "gather of integers": (_x, _positive, index) => [tf.gather(index(9, 6), index(6, 4))],
  cast: (x) => [tf.cast(x(9), "int32"), tf.cast(tf.cast(x(3, 4), "int32"), "float32")],
  fill: () => [tf.fill([2, 3], 1.5), tf.fill([4], 3, "int32"), tf.fill([], 2)],
  where: (x) => [tf.where(tf.greater(x(3, 4), 0), x(3, 4), x(3, 4))],
  "sums of integers": (_x, _positive, index) => [tf.sum(index(9, 4, 5), 1), tf.add(index(9, 3), index(9, 3))],
};

/** Results of a case on the backend that is on: shapes, dtypes and values. The inputs are the same every time. */
function results(name: string): { shape: number[]; dtype: string; values: Float32Array }[] {
  return tf.tidy(() => {
    const rng = createRng(3, name);
    const tensor = (draw: () => number, shape: number[], dtype: "float32" | "int32" = "float32"): tf.Tensor =>
      tf.tensor(Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, draw), shape, dtype);
    const given = CASES[name]?.(
      (...shape) => tensor(() => 2 * rng.normal(), shape),
      (...shape) => tensor(() => 0.1 + 3 * rng.uniform(), shape),
      (size, ...shape) => tensor(() => rng.int(size), shape, "int32"),
    );
    return (given ?? []).map((one) => ({
      shape: one.shape,
      dtype: one.dtype,
      values: Float32Array.from(one.dataSync()),
    }));
  });
}

describe("every kernel", () => {
  beforeAll(async () => {
    await startBackend(TEST_BACKEND);
  });

  it.each(Object.keys(CASES))("%s gives the shapes, dtypes and values of tfjs's reference backend", async (name) => {
    await tf.setBackend("cpu");
    const expected = results(name);
    await tf.setBackend(TEST_BACKEND);
    const actual = results(name);
    expect(actual.map(({ shape, dtype }) => [shape, dtype])).toEqual(
      expected.map(({ shape, dtype }) => [shape, dtype]),
    );
    for (const [i, { values }] of actual.entries())
      expect(values).toBeAllclose(expected[i]?.values ?? [], { rtol: 1e-6, atol: 1e-7 });
  });

  it("leaks no tensors", async () => {
    await expect(() => {
      for (const name of Object.keys(CASES)) results(name);
    }).toLeakNoTensors();
  });
});
