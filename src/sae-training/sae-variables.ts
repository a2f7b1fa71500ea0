/** @file A JumpReLU SAE in training: its variables, one step of them, and its weights at the end. All in scaled rows. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor, Variable } from "@tensorflow/tfjs-core";
import { must } from "../base/assert.js";
import type { Rng } from "../base/rng.js";
import type { SaeWeights } from "../weights/sae-folder.js";
import type { Adam } from "./adam.js";
import { SAE_ARRAYS, saeStep, type SaeArray, type SaeLossWeights } from "./sae-objective.js";

/** The trained arrays. Owner: whoever made them. */
export type SaeVariables = Readonly<Record<SaeArray, Variable>>;

/** Adam's rates for SAEs. */
export const SAE_ADAM = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 } as const;

/** Sizes of an SAE and where its thresholds start. */
export interface SaeStart {
  readonly dIn: number;
  readonly dSae: number;
  readonly initialThreshold: number;
}

/**
 * Decoder rows at random directions and the encoder at the decoder's transpose, scaled so that the half of the features that
 * then fire reconstruct about once (or less, where features are few); biases make all of it relative to `centre`, the scaled
 * rows' mean.
 */
export function initialVariables(
  { dIn, dSae, initialThreshold }: SaeStart,
  centre: Float32Array,
  rng: Rng,
): SaeVariables {
  const decoder = new Float32Array(dSae * dIn);
  for (let f = 0; f < dSae; f++) {
    const direction = Array.from({ length: dIn }, () => rng.normal());
    const norm = Math.sqrt(direction.reduce((sum, value) => sum + value * value, 0));
    decoder.set(
      direction.map((value) => value / norm),
      f * dIn,
    );
  }
  return tf.tidy(() => {
    const W_dec = tf.tensor2d(decoder, [dSae, dIn]);
    const W_enc = tf.mul(tf.transpose(W_dec), Math.min(1, (2 * dIn) / dSae));
    const b_enc = tf.neg(tf.reshape(tf.matMul(tf.tensor2d(centre, [1, dIn]), W_enc), [dSae]));
    const variable = (tensor: Tensor): Variable => tf.variable(tensor, true);
    return {
      W_enc: variable(W_enc),
      W_dec: variable(W_dec),
      b_enc: variable(b_enc),
      b_dec: variable(tf.tensor1d(centre)),
      threshold: variable(tf.fill([dSae], initialThreshold)),
    };
  });
}

/** An SAE that is trained, and its optimiser. */
export interface TrainedVariables {
  readonly variables: SaeVariables;
  readonly adam: Adam;
}

/**
 * One step of Adam on the rows; then decoder rows are put back to unit norm, and thresholds kept positive.
 * @returns the rows' summed squared error, and how many of them each feature fired on.
 */
export function trainStep(
  { variables, adam }: TrainedVariables,
  x_RD: Tensor,
  weights: SaeLossWeights,
  learningRate: number,
): { readonly squaredError: number; readonly fired_F: Float32Array } {
  const step = saeStep(variables, x_RD, weights);
  adam.apply(new Map(Object.entries(step.gradients)), learningRate);
  tf.tidy(() => {
    const norms_F1 = tf.sqrt(tf.sum(tf.square(variables.W_dec as Tensor), 1, true));
    variables.W_dec.assign(tf.div(variables.W_dec, norms_F1));
    variables.threshold.assign(tf.maximum(variables.threshold, 0));
  });
  const squaredError = must(step.squaredError.dataSync<"float32">()[0], "squared error");
  const fired_F = step.fired_F.dataSync<"float32">();
  tf.dispose([step.squaredError, step.fired_F, ...Object.values(step.gradients)]);
  return { squaredError, fired_F };
}

/** Features of unscaled rows are `scale` times as large: matrices stay, biases and thresholds grow. */
export function unscaledWeights(variables: SaeVariables, { dIn, dSae }: SaeStart, scale: number): SaeWeights {
  const read = (name: SaeArray, factor: number): Float32Array => {
    const values = variables[name].dataSync<"float32">();
    return Float32Array.from(values, (value) => value * factor);
  };
  return {
    dIn,
    dSae,
    W_enc: read("W_enc", 1),
    W_dec: read("W_dec", 1),
    b_enc: read("b_enc", scale),
    b_dec: read("b_dec", scale),
    threshold: read("threshold", scale),
  };
}

/** Frees the variables. */
export function disposeVariables(variables: SaeVariables): void {
  for (const name of SAE_ARRAYS) variables[name].dispose();
}
