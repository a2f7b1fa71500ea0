/** @file How weight matrices come to the device: as float32, or as a backend's own loader keeps them. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../base/assert.js";
import type { StoredArray } from "../weights/stored-array.js";

/** Makes the matrices that activations are multiplied by. Norms, biases and thresholds are float32 always. Owner: caller. */
export interface MatrixLoader {
  /** On the device. */
  readonly bytesPerValue: number;
  /** A matrix of a file in the compute type. */
  load(array: StoredArray): Promise<Tensor>;
  /** A matrix of a file in float32. */
  loadWide(array: StoredArray): Promise<Tensor>;
  /** Values as they are, `[rows, columns]`. */
  matrix(values: Float32Array, shape: [rows: number, columns: number]): Tensor;
}

/** Copies of the weights in float32: what every backend has. */
export const FLOAT32_MATRICES: MatrixLoader = {
  bytesPerValue: 4,
  load: loadFloats,
  loadWide: loadFloats,
  matrix: (values, shape) => tf.tensor2d(values, shape),
};

/** A matrix as float32. */
async function loadFloats(array: StoredArray): Promise<Tensor> {
  return tf.tensor2d(await array.read(), matrixShape(array));
}

/** Rows and columns. */
export function matrixShape({ shape: [rows, columns] }: StoredArray): [rows: number, columns: number] {
  return [must(rows, "rows"), must(columns, "columns")];
}

/** A `[out, in]` matrix of a file as an `[in, out]` tensor: a plain matMul is the fast path. */
export async function loadTransposed(matrices: MatrixLoader, array: StoredArray): Promise<Tensor> {
  const stored = await matrices.load(array);
  return tf.tidy(() => {
    const view = tf.transpose(stored);
    stored.dispose();
    return view;
  });
}
