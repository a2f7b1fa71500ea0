/** @file Restricts flat rows to the positions from the first token on that differs: nothing can change before it. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { shapeOf } from "../model/tensor-shape.js";

/** Rows of positions `first..T-1` of every prompt: `[B x T, D]` to `[B x (T - first), D]`. Owner: caller. */
export function laterRows(x_RD: Tensor, batch: number, first: number): Tensor {
  return tf.tidy(() => {
    const [R, D] = shapeOf(x_RD, "RD");
    const T = R / batch;
    if (first === 0) return tf.clone(x_RD);
    return tf.reshape(tf.slice(tf.reshape(x_RD, [batch, T, D]), [0, first, 0], [batch, T - first, D]), [
      batch * (T - first),
      D,
    ]);
  });
}

/** The opposite: zeros at the `first` positions before. Owner: caller. */
export function padRows(later_RD: Tensor, batch: number, first: number): Tensor {
  return tf.tidy(() => {
    const [R, D] = shapeOf(later_RD, "RD");
    const later = R / batch;
    if (first === 0) return tf.clone(later_RD);
    const padded = tf.pad(tf.reshape(later_RD, [batch, later, D]), [
      [0, 0],
      [first, 0],
      [0, 0],
    ]);
    return tf.reshape(padded, [batch * (later + first), D]);
  });
}

/** The same for a number of each row: `[B x (T - first)]` to `[B x T]`. */
export function wholeRows(later: Float32Array, batch: number, first: number): Float32Array {
  if (first === 0) return later;
  const length = later.length / batch;
  const whole = new Float32Array(batch * (first + length));
  for (let b = 0; b < batch; b++) whole.set(later.subarray(b * length, (b + 1) * length), b * (first + length) + first);
  return whole;
}

/** Index of a later row among all rows. */
export function wholeRow(later: number, T: number, first: number): number {
  const length = T - first;
  return Math.floor(later / length) * T + first + (later % length);
}
