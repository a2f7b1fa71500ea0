/** @file Values of positions applied to rows: to those of every prompt at once, or to rows of which each says its position. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";

/** At which of `T` positions rows stand: one position each, or null where they are prompt after prompt with all positions. */
export interface RowPositions {
  readonly T: number;
  readonly of: Int32Array | null;
}

/** The position of a row. */
export function positionOf({ T, of }: RowPositions, row: number): number {
  return of === null ? row % T : (of[row] as number);
}

/**
 * `apply` of rows `[R, W]` and the values `[T, W]` or `[T, 1]` of their positions, `[R, W]`. Owner: caller.
 */
export function withPositionValues(
  apply: (rows: Tensor, values: Tensor) => Tensor,
  x_RW: Tensor,
  values_TW: Tensor,
  { T, of }: RowPositions,
): Tensor {
  if (of !== null) return apply(x_RW, tf.gather(values_TW, tf.tensor1d(of, "int32")));
  const [R, W] = x_RW.shape as [number, number];
  return tf.reshape(apply(tf.reshape(x_RW, [R / T, T, W]), values_TW), [R, W]);
}
