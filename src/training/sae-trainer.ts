/**
 * @file Trains one JumpReLU SAE on rows of activations.
 *
 * 1. Scale the rows so that their mean squared distance from their mean is 1.
 * 2. Start decoder rows at random directions and the encoder at the decoder's transpose, scaled so that the half of the
 *    features that then fire reconstruct about once; biases make all of it relative to the mean.
 * 3. Adam on seeded batches; decoder rows are put back to unit norm after each step, thresholds kept positive.
 * 4. Steer the price of a firing feature so that the batch's fraction of variance unexplained (FVU) nears its target:
 *    the SAE is then as sparse as that FVU allows, and its errors matter, whatever the site. Steering starts after warm-up.
 * 5. Undo the scale: only biases and thresholds change.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor, Variable } from "@tensorflow/tfjs-core";
import { must } from "../base/assert.js";
import { PatchbayError } from "../base/errors.js";
import { createRng, type Rng } from "../base/rng.js";
import type { SaeWeights } from "../weights/sae-folder.js";
import { createAdam, learningRateAt } from "./adam.js";
import { SAE_ARRAYS, saeStep, type SaeArray } from "./sae-objective.js";

/** Rows of one site's activations, `[count, dIn]` flat. */
export interface ActivationRows {
  readonly values: Float32Array;
  readonly dIn: number;
}

/** How an SAE is trained. */
export interface SaeTraining {
  readonly seed: number;
  readonly dSae: number;
  readonly steps: number;
  /** Rows for each step. */
  readonly batch: number;
  readonly peakLearningRate: number;
  readonly warmUpSteps: number;
  /** Fraction of variance unexplained to steer for. */
  readonly targetFvu: number;
  /** First price of a firing feature, and by what fraction it may change in one step. */
  readonly sparsity: number;
  readonly steering: number;
  readonly deadPull: number;
  readonly bandwidth: number;
  readonly initialThreshold: number;
}

/** Called after each step with figures of its batch. */
export type OnSaeStep = (
  step: number,
  figures: { readonly fvu: number; readonly l0: number; readonly sparsity: number },
) => void;

/** Trains an SAE; `label` names its random stream (the site's hook). */
export function trainSae(rows: ActivationRows, label: string, training: SaeTraining, onStep?: OnSaeStep): SaeWeights {
  const rng = createRng(training.seed, "sae", label);
  const { mean, scale } = centreAndScale(rows);
  const variables = initialVariables(rows, mean, scale, training, rng);
  const adam = createAdam(new Map(Object.entries(variables)), { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 });
  const nextBatch = batches(rows, scale, training.batch, rng);
  let sparsity = training.sparsity;
  for (let step = 0; step < training.steps; step++) {
    const { fvu, l0 } = trainStep(variables, adam, nextBatch(), { ...training, sparsity }, step);
    if (!Number.isFinite(fvu))
      throw new PatchbayError("non_finite", `SAE ${label}: the loss is ${String(fvu)} at step ${String(step)}`);
    onStep?.(step, { fvu, l0, sparsity });
    if (step < training.warmUpSteps) continue;
    const shortfall = (training.targetFvu - fvu) / training.targetFvu;
    sparsity *= Math.exp(training.steering * Math.max(-1, Math.min(1, shortfall)));
  }
  adam.dispose();
  return unscaled(variables, rows.dIn, training.dSae, scale);
}

type SaeVariables = Readonly<Record<SaeArray, Variable>>;

function trainStep(
  variables: SaeVariables,
  adam: ReturnType<typeof createAdam>,
  x_RD: Tensor,
  training: SaeTraining,
  step: number,
): { fvu: number; l0: number } {
  const { gradients, squaredError, fired_F } = saeStep(variables, x_RD, training);
  adam.apply(
    new Map(Object.entries(gradients)),
    learningRateAt(step, { ...training, peak: training.peakLearningRate }),
  );
  tf.tidy(() => {
    const norms_F1 = tf.sqrt(tf.sum(tf.square(variables.W_dec as Tensor), 1, true));
    variables.W_dec.assign(tf.div(variables.W_dec, norms_F1));
    variables.threshold.assign(tf.maximum(variables.threshold, 0));
  });
  const fvu = must(squaredError.dataSync<"float32">()[0], "squared error") / training.batch;
  const l0 = fired_F.dataSync<"float32">().reduce((sum, count) => sum + count, 0) / training.batch;
  tf.dispose([squaredError, fired_F, x_RD, ...Object.values(gradients)]);
  return { fvu, l0 };
}

function centreAndScale({ values, dIn }: ActivationRows): { mean: Float64Array; scale: number } {
  const count = values.length / dIn;
  const mean = new Float64Array(dIn);
  let squares = 0;
  for (const [i, value] of values.entries()) {
    mean[i % dIn] = must(mean[i % dIn], "mean") + value / count;
    squares += (value * value) / count;
  }
  return { mean, scale: Math.sqrt(squares - mean.reduce((sum, m) => sum + m * m, 0)) };
}

function initialVariables(
  { dIn }: ActivationRows,
  mean: Float64Array,
  scale: number,
  { dSae, initialThreshold }: SaeTraining,
  rng: Rng,
): SaeVariables {
  const decoder = new Float32Array(dSae * dIn);
  for (let f = 0; f < dSae; f++) {
    const direction = Array.from({ length: dIn }, () => rng.normal());
    const norm = Math.hypot(...direction);
    decoder.set(
      direction.map((value) => value / norm),
      f * dIn,
    );
  }
  const centre = Float32Array.from(mean, (m) => m / scale);
  return tf.tidy(() => {
    const W_dec = tf.tensor2d(decoder, [dSae, dIn]);
    const W_enc = tf.mul(tf.transpose(W_dec), (2 * dIn) / dSae);
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

/** Scaled batches without repeats until too few rows are left, then in a new seeded order. Owner of each batch: caller. */
function batches({ values, dIn }: ActivationRows, scale: number, batch: number, rng: Rng): () => Tensor {
  const count = values.length / dIn;
  let order: number[] = [];
  return () => {
    if (order.length < batch) order = rng.shuffle(Array.from({ length: count }, (_, row) => row));
    const picked = order.splice(-batch);
    const scaled = new Float32Array(batch * dIn);
    for (const [at, row] of picked.entries())
      for (let d = 0; d < dIn; d++) scaled[at * dIn + d] = must(values[row * dIn + d], "value") / scale;
    return tf.tensor2d(scaled, [batch, dIn]);
  };
}

/** Features of unscaled rows are `scale` times as large: matrices stay, biases and thresholds grow. Frees the variables. */
function unscaled(variables: SaeVariables, dIn: number, dSae: number, scale: number): SaeWeights {
  const read = (name: SaeArray, factor: number): Float32Array => {
    const values = variables[name].dataSync<"float32">();
    return Float32Array.from(values, (value) => value * factor);
  };
  const weights = {
    dIn,
    dSae,
    W_enc: read("W_enc", 1),
    W_dec: read("W_dec", 1),
    b_enc: read("b_enc", scale),
    b_dec: read("b_dec", scale),
    threshold: read("threshold", scale),
  };
  for (const name of SAE_ARRAYS) variables[name].dispose();
  return weights;
}
