/**
 * @file One step of JumpReLU SAE training: the loss, and its gradient written out by hand (twice as fast as a tape).
 *
 * 1. `pre = x W_enc + b_enc`, `f = pre 1[pre > theta]`, `xhat = f W_dec + b_dec`.
 * 2. Loss per row: `|x - xhat|^2 + lambda |f|_0`, meaned over rows.
 * 3. Encoder and decoder get the ordinary gradient, which passes only through features that fire.
 * 4. The threshold's gradient is zero almost everywhere; a rectangle kernel K of width epsilon stands in for the step's
 *    derivative: `d f / d theta = -(theta / epsilon) K((pre - theta) / epsilon)`,
 *    `d |f|_0 / d theta = -(1 / epsilon) K((pre - theta) / epsilon)`.
 * 5. A feature that fires nowhere in the batch gets a small pull towards firing: `lambda_dead relu(theta - pre)`.
 *
 * Source: Rajamanoharan et al., arXiv 2407.14435, eq. 9 to 12; the pull: Anthropic, "Dictionary learning optimization
 * techniques" (January 2025), pre-activation loss.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor, Tensor2D } from "@tensorflow/tfjs-core";
import { shapeOf } from "../model/tensor-shape.js";

/** Trainable arrays, named as in the SAE's file. */
export const SAE_ARRAYS = ["W_enc", "W_dec", "b_enc", "b_dec", "threshold"] as const;
/** The name of a trainable array. */
export type SaeArray = (typeof SAE_ARRAYS)[number];

/** One tensor for each array: parameters or gradients. */
export type SaeTensors = Readonly<Record<SaeArray, Tensor>>;

/** Weights of the loss terms, in units where a row's mean squared norm is 1. */
export interface SaeLossWeights {
  /** lambda: price of one firing feature. */
  readonly sparsity: number;
  /** lambda_dead. */
  readonly deadPull: number;
  /** epsilon: width of the kernel. */
  readonly bandwidth: number;
}

/** What a step found. Owner of the tensors: caller. */
export interface SaeStep {
  readonly gradients: SaeTensors;
  /** Sum over rows of the squared error, scalar. */
  readonly squaredError: Tensor;
  /** How many rows of the batch each feature fired on, `[F]`. */
  readonly fired_F: Tensor;
}

/** Gradients of the mean loss over the rows of `x_RD`. Owner: caller. */
export function saeStep(parameters: SaeTensors, x_RD: Tensor, weights: SaeLossWeights): SaeStep {
  return tf.tidy(() => {
    const [R] = shapeOf(x_RD, "RD");
    const { W_enc, W_dec, b_enc, b_dec, threshold } = parameters;
    const pre_RF = tf.add(tf.matMul(x_RD as Tensor2D, W_enc as Tensor2D), b_enc);
    const margin_RF = tf.sub(pre_RF, threshold);
    const fires_RF = tf.step(margin_RF);
    const f_RF = tf.mul(pre_RF, fires_RF);
    const residual_RD = tf.sub(tf.add(tf.matMul(f_RF as Tensor2D, W_dec as Tensor2D), b_dec), x_RD);
    const dXhat_RD = tf.mul(residual_RD, 2 / R);
    const dF_RF = tf.matMul(dXhat_RD, tf.transpose(W_dec));
    const fired_F = tf.sum(fires_RF, 0);
    const idle_F = tf.sub(1, tf.step(fired_F));
    const pull_RF = tf.mul(tf.sub(1, fires_RF), tf.mul(idle_F, weights.deadPull / R));
    const dPre_RF = tf.sub(tf.mul(dF_RF, fires_RF), pull_RF);
    const gradients = {
      W_enc: tf.matMul(tf.transpose(x_RD), dPre_RF),
      W_dec: tf.matMul(tf.transpose(f_RF), dXhat_RD),
      b_enc: tf.sum(dPre_RF, 0),
      b_dec: tf.sum(dXhat_RD, 0),
      threshold: tf.add(thresholdGradient(margin_RF, dF_RF, threshold, weights), tf.sum(pull_RF, 0)),
    };
    return { gradients, squaredError: tf.sum(tf.square(residual_RD)), fired_F };
  });
}

/** Step 4: the kernel's rows near the threshold carry both terms. */
function thresholdGradient(margin_RF: Tensor, dF_RF: Tensor, threshold: Tensor, weights: SaeLossWeights): Tensor {
  const [R] = shapeOf(margin_RF, "RF");
  const { bandwidth, sparsity } = weights;
  const near_RF = tf.step(tf.sub(bandwidth / 2, tf.abs(margin_RF)));
  const reconstruction_F = tf.mul(tf.sum(tf.mul(dF_RF, near_RF), 0), tf.div(threshold, -bandwidth));
  const penalty_F = tf.mul(tf.sum(near_RF, 0), -sparsity / (bandwidth * R));
  return tf.add(reconstruction_F, penalty_F);
}
