import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { startBackend } from "../../../src/backends/start-backend.js";

const shapes = fc.array(fc.integer({ min: 1, max: 11 }), { minLength: 1, maxLength: 4 });
const dtypes = fc.constantFrom("float32" as const, "int32" as const);

/** A tensor whose values are their own flat indexes. */
function counting(shape: number[], dtype: "float32" | "int32"): tf.Tensor {
  return tf.tensor(
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i),
    shape,
    dtype,
  );
}

/** Flat index of each position of a box, found one coordinate at a time. */
function flatIndexes(shape: readonly number[], along: readonly (readonly number[])[]): number[] {
  return along.reduce<number[]>(
    (flat, chosen, axis) => flat.flatMap((index) => chosen.map((i) => index * (shape[axis] ?? 1) + i)),
    [0],
  );
}

beforeAll(async () => {
  await startBackend("wasm");
});

describe("wasm kernels", () => {
  it("slice the box that was asked for, in any rank", () => {
    const boxes = shapes.chain((shape) =>
      fc.record({
        shape: fc.constant(shape),
        dtype: dtypes,
        box: fc.tuple(
          ...shape.map((size) =>
            fc.tuple(fc.nat(size - 1), fc.nat(size)).map(([a, b]) => [a, Math.max(0, Math.min(b, size - a))] as const),
          ),
        ),
      }),
    );
    fc.assert(
      fc.property(boxes, ({ shape, dtype, box }) => {
        tf.tidy(() => {
          const part = tf.slice(
            counting(shape, dtype),
            box.map(([begin]) => begin),
            box.map(([, size]) => size),
          );
          const along = box.map(([begin, size]) => Array.from({ length: size }, (_, i) => begin + i));
          expect([...part.dataSync()]).toEqual(flatIndexes(shape, along));
          expect([part.shape, part.dtype]).toEqual([box.map(([, size]) => size), dtype]);
        });
      }),
    );
  });

  it("gather along any axis, with repeats", () => {
    const picks = shapes.chain((shape) =>
      fc.nat(shape.length - 1).chain((axis) =>
        fc.record({
          shape: fc.constant(shape),
          dtype: dtypes,
          axis: fc.constant(axis),
          indices: fc.array(fc.nat((shape[axis] ?? 1) - 1), { minLength: 1, maxLength: 20 }),
        }),
      ),
    );
    fc.assert(
      fc.property(picks, ({ shape, dtype, axis, indices }) => {
        tf.tidy(() => {
          const taken = tf.gather(counting(shape, dtype), tf.tensor1d(indices, "int32"), axis);
          const along = shape.map((size, i) => (i === axis ? indices : Array.from({ length: size }, (_, n) => n)));
          expect([...taken.dataSync()]).toEqual(flatIndexes(shape, along));
        });
      }),
    );
  });

  it("slice to the end of an axis, and gather into the shape of the indexes", () => {
    tf.tidy(() => {
      expect([...tf.slice(counting([3, 4], "float32"), [1, 2], [-1, -1]).dataSync()]).toEqual([6, 7, 10, 11]);
      const taken = tf.gather(counting([3, 2], "float32"), tf.tensor2d([[2, 0]], [1, 2], "int32"));
      expect([taken.shape, [...taken.dataSync()]]).toEqual([
        [1, 2, 2],
        [4, 5, 0, 1],
      ]);
    });
  });

  it("refuse an index outside the axis and leave no tensor behind", async () => {
    expect(() => tf.tidy(() => tf.gather(counting([3], "float32"), tf.tensor1d([3], "int32")))).toThrow("index 3");
    await expect(() => {
      tf.dispose(tf.tidy(() => tf.slice(tf.gather(counting([5, 2], "float32"), tf.tensor1d([4, 4], "int32")), 1, 1)));
    }).toLeakNoTensors();
  });
});
