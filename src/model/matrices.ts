/** @file How weight matrices come to the device: as float32, or as a backend's own loader keeps them. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../base/assert.js";
import type { Checkpoint } from "../weights/checkpoint.js";

/** Makes the matrices that activations are multiplied by. Norms, biases and thresholds are float32 always. Owner: caller. */
export interface MatrixLoader {
  /** On the device. */
  readonly bytesPerValue: number;
  /** A `[out, in]` matrix of the file as an `[in, out]` tensor: a plain matMul is the fast path. */
  transposed(checkpoint: Checkpoint, name: string): Promise<Tensor>;
  /** Values as they are, `[rows, columns]`. */
  matrix(values: Float32Array, shape: [rows: number, columns: number]): Tensor;
}

/** Copies of the weights in float32: what every backend has. */
export const FLOAT32_MATRICES: MatrixLoader = {
  bytesPerValue: 4,
  transposed: async (checkpoint, name) => {
    const values = await checkpoint.read(name);
    return tf.tidy(() => tf.transpose(tf.tensor2d(values, matrixShape(checkpoint, name))));
  },
  matrix: (values, shape) => tf.tensor2d(values, shape),
};

/** Rows and columns of a matrix in the file. */
export function matrixShape(checkpoint: Checkpoint, name: string): [rows: number, columns: number] {
  const [rows, columns] = checkpoint.shapeOf(name);
  return [must(rows, "rows"), must(columns, "columns")];
}
