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
  return tf.tidy(() => {
    const [R, D] = shapeOf(resid_RD, "RD");
    const T = R / batch;
    return tf.reshape(tf.slice(tf.reshape(resid_RD, [batch, T, D]), [0, T - 1, 0], [batch, 1, D]), [batch, D]);
  });
}
