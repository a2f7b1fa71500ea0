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
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../../src/base/assert.js";
import { PatchbayError } from "../../src/base/errors.js";
import { createRng, type Rng } from "../../src/base/rng.js";
import type { SaeWeights } from "../../src/weights/sae-folder.js";
import { createAdam, learningRateAt } from "../../src/sae-training/adam.js";
import {
  disposeVariables,
  initialVariables,
  SAE_ADAM,
  trainStep,
  unscaledWeights,
} from "../../src/sae-training/sae-variables.js";

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
  const start = { ...training, dIn: rows.dIn };
  const centre = Float32Array.from(mean, (m) => m / scale);
  const variables = initialVariables(start, centre, rng);
  const adam = createAdam(new Map(Object.entries(variables)), SAE_ADAM);
  const nextBatch = batches(rows, scale, training.batch, rng);
  const schedule = { ...training, peak: training.peakLearningRate };
  let sparsity = training.sparsity;
  for (let step = 0; step < training.steps; step++) {
    const x_RD = nextBatch();
    const rate = learningRateAt(step, schedule);
    const { squaredError, fired_F } = trainStep({ variables, adam }, x_RD, { ...training, sparsity }, rate);
    x_RD.dispose();
    const fvu = squaredError / training.batch;
    const l0 = fired_F.reduce((sum, count) => sum + count, 0) / training.batch;
    if (!Number.isFinite(fvu))
      throw new PatchbayError("non_finite", `SAE ${label}: the loss is ${fvu} at step ${step}`);
    onStep?.(step, { fvu, l0, sparsity });
    if (step < training.warmUpSteps) continue;
    const shortfall = (training.targetFvu - fvu) / training.targetFvu;
    sparsity *= Math.exp(training.steering * Math.max(-1, Math.min(1, shortfall)));
  }
  adam.dispose();
  const weights = unscaledWeights(variables, start, scale);
  disposeVariables(variables);
  return weights;
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
