/** @file Variables that own their first value. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor, Variable } from "@tensorflow/tfjs-core";

/** A variable that starts at `initial` and takes it over: tfjs's own leaves the tensor behind. Owner: caller. */
export function variableFrom(initial: Tensor, trainable: boolean): Variable {
  const variable = tf.variable(initial, trainable);
  initial.dispose();
  return variable;
}
