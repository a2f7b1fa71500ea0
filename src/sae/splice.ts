/** @file The delta splice: puts an intervention on an SAE's nodes back into the model. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import type { Sae } from "./sae.js";

/** Live activations of an SAE's nodes and what they are changed to; a pair that is left out is unchanged. */
export interface SpliceChange {
  readonly features?: { readonly live_RF: Tensor; readonly changed_RF: Tensor };
  readonly errors?: { readonly live_RD: Tensor; readonly changed_RD: Tensor };
}

/**
 * `x' = x + (f' - f) W_dec + (e' - e)`.
 *
 * Computed as `x - ((f - f') W_dec + (e - e'))`, so that rows on which nothing changes keep their bits, even those of -0.
 * Source: REFERENCE 3; equal to SAELens' `use_error_term`.
 *
 * @returns `[R, D]`. Owner: caller.
 */
export function splice(sae: Sae, x_RD: Tensor, change: SpliceChange): Tensor {
  return tf.tidy(() => {
    const { features, errors } = change;
    const removed: Tensor[] = [];
    if (features !== undefined) removed.push(tf.matMul(tf.sub(features.live_RF, features.changed_RF), sae.W_dec_FD));
    if (errors !== undefined) removed.push(tf.sub(errors.live_RD, errors.changed_RD));
    return removed.length === 0 ? tf.clone(x_RD) : tf.sub(x_RD, tf.addN(removed));
  });
}
