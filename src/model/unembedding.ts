/** @file Final norm and tied unembedding of chosen tokens only. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor, Tensor2D } from "@tensorflow/tfjs-core";
import type { ModelConfig } from "../families/family.js";
import type { BackwardRules } from "./backward-rules.js";
import { normalize } from "./norm.js";
import { softCap } from "./soft-cap.js";
import { shapeOf } from "./tensor-shape.js";

/**
 * `cap tanh(norm(h) E^T / cap)` for the tokens whose embedding columns are given. Source: REFERENCE 1.
 *
 * @param resid_RD last residual stream.
 * @param finalGain_D gain of the final norm.
 * @param unembed_DA columns: unscaled embedding rows of the tokens, transposed.
 * @returns logits `[R, A]`. Owner: caller.
 */
export function unembed(
  config: ModelConfig,
  finalGain_D: Tensor,
  resid_RD: Tensor,
  unembed_DA: Tensor,
  rules: BackwardRules,
): Tensor {
  return tf.tidy(() => {
    const x_RD = normalize(resid_RD, finalGain_D, config.norm, rules) as Tensor2D;
    return softCap(tf.matMul(x_RD, unembed_DA), config.finalSoftcap, rules);
  });
}

/** Rows of the last position of each prompt: `[B x T, D]` to `[B, D]`. Owner: caller. */
export function lastRows(resid_RD: Tensor, batch: number): Tensor {
  const [R] = shapeOf(resid_RD, "RD");
  return rowsOfPositions(resid_RD, batch, { start: R / batch - 1, length: 1 });
}

/** Rows of consecutive positions of each prompt: `[B x T, D]` to `[B x length, D]`. Owner: caller. */
export function rowsOfPositions(
  x_RD: Tensor,
  batch: number,
  { start, length }: { readonly start: number; readonly length: number },
): Tensor {
  return tf.tidy(() => {
    const [R, D] = shapeOf(x_RD, "RD");
    const x_BTD = tf.reshape(x_RD, [batch, R / batch, D]);
    return tf.reshape(tf.slice(x_BTD, [0, start, 0], [batch, length, D]), [batch * length, D]);
  });
}
