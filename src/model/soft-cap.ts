/** @file Soft-capping: keeps logits inside (-cap, cap). */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import type { BackwardRules } from "./backward-rules.js";

/** `cap * tanh(x / cap)`, or `x` itself where there is no cap. Source: REFERENCE 1. Owner: caller. */
export function softCap(x: Tensor, cap: number | null, rules: BackwardRules): Tensor {
  if (cap === null) return x;
  return rules.nonlinearity(x, (y) => tf.mul(tf.tanh(tf.mul(y, 1 / cap)), cap));
}
