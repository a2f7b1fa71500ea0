/**
 * @file Trains the SAE of one site, a batch at a time, towards a number of firing features; its state can be kept and taken up.
 *
 * 1. Rows are divided by their root mean squared distance from their mean, as the first buffer has them.
 * 2. Each batch is one step of the JumpReLU objective (sae-objective.ts).
 * 3. After warm-up the price of a firing feature follows the batch's L0: `price *= exp(rate * clamp(log(L0 / target), -1, 1))`.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../base/assert.js";
import { exponentialOf, logarithmOf } from "../base/elementary-functions.js";
import { PatchbayError } from "../base/errors.js";
import { createRng } from "../base/rng.js";
import { siteHook, type SaeSiteAt } from "../nodes/site.js";
import type { SaeWeights } from "../weights/sae-folder.js";
import { createAdam, learningRateAt, type Adam, type AdamState } from "./adam.js";
import { SAE_ARRAYS } from "./sae-objective.js";
import {
  disposeVariables,
  initialVariables,
  SAE_ADAM,
  trainStep,
  unscaledWeights,
  type SaeVariables,
} from "./sae-variables.js";

/** How the SAE of a site is trained. */
export interface SiteTraining {
  readonly seed: number;
  readonly dSae: number;
  /** Firing features per row to steer for. */
  readonly targetL0: number;
  /** Steps of the whole training. */
  readonly steps: number;
  readonly warmUpSteps: number;
  readonly peakLearningRate: number;
  /** First price of a firing feature, and by what fraction it may change in one step. */
  readonly sparsity: number;
  readonly steering: number;
  readonly deadPull: number;
  readonly bandwidth: number;
  readonly initialThreshold: number;
}

/** Figures of the rows trained on since they were last asked for; squares are in units of the first buffer's variance. */
export interface TrainingFigures {
  /** Mean of `|x - xhat|^2 + price x L0`. */
  readonly loss: number;
  /** Mean of `|x - xhat|^2`: these rows' unexplained share of the first buffer's variance, so that it compares over time. */
  readonly fvu: number;
  readonly l0: number;
  /** Features that fired on none of the rows. */
  readonly dead: number;
}

/** Everything a trainer needs to go on: arrays by name, and numbers. */
export interface SiteState {
  readonly arrays: ReadonlyMap<string, Tensor>;
  readonly numbers: SiteNumbers;
}

/** The numbers of a state. */
export interface SiteNumbers {
  readonly scale: number;
  readonly sparsity: number;
  readonly steps: number;
}

/** Trains the SAE of one site. Owner: whoever made it. */
export interface SiteTrainer {
  readonly at: SaeSiteAt;
  /** One step on unscaled rows, which stay the caller's; steps are counted over the whole training. */
  step(x_RD: Tensor, step: number): void;
  takeFigures(): TrainingFigures;
  /** The tensors stay the trainer's. */
  state(): SiteState;
  /** The SAE as it is now, for unscaled rows. */
  weights(): SaeWeights;
  dispose(): void;
}

/** A trainer before its first step; `rows` are the site's first activations, `[count, dIn]` flat. */
export function startSite(at: SaeSiteAt, dIn: number, rows: Float32Array, training: SiteTraining): SiteTrainer {
  const { mean, scale } = centreAndScale(rows, dIn);
  const centre = mean.map((m) => m / scale);
  const rng = createRng(training.seed, "sae", siteHook(at));
  const variables = initialVariables({ ...training, dIn }, centre, rng);
  const adam = createAdam(new Map(Object.entries(variables)), SAE_ADAM);
  return trainer(at, dIn, { variables, adam, scale, sparsity: training.sparsity }, training);
}

/** A trainer that goes on from a state, whose tensors it takes over. */
export function resumeSite(
  at: SaeSiteAt,
  dIn: number,
  { arrays, numbers }: SiteState,
  training: SiteTraining,
): SiteTrainer {
  const array = (name: string): Tensor => must(arrays.get(name), name);
  const named = (suffix: string): [string, Tensor][] => SAE_ARRAYS.map((name) => [name, array(name + suffix)]);
  const variables = Object.fromEntries(
    named("").map(([name, tensor]) => {
      const variable = tf.variable(tensor, true);
      tensor.dispose();
      return [name, variable];
    }),
  ) as unknown as SaeVariables;
  const from: AdamState = { steps: numbers.steps, first: new Map(named(FIRST)), second: new Map(named(SECOND)) };
  const adam = createAdam(new Map(Object.entries(variables)), SAE_ADAM, from);
  return trainer(at, dIn, { variables, adam, ...numbers }, training);
}

/** What follows an array's name where Adam's moments of it are meant. */
const [FIRST, SECOND] = [".first", ".second"];

interface Started {
  readonly variables: SaeVariables;
  readonly adam: Adam;
  readonly scale: number;
  readonly sparsity: number;
}

function trainer(at: SaeSiteAt, dIn: number, started: Started, training: SiteTraining): SiteTrainer {
  const { variables, adam, scale } = started;
  const schedule = { ...training, peak: training.peakLearningRate };
  const totals = createTotals(training.dSae);
  let { sparsity } = started;
  const step = (x_RD: Tensor, index: number): void => {
    const R = must(x_RD.shape[0], "rows");
    const scaled_RD = tf.div(x_RD, scale);
    const weights = { sparsity, deadPull: training.deadPull, bandwidth: training.bandwidth };
    const rate = learningRateAt(index, schedule);
    const { squaredError, fired_F } = trainStep({ variables, adam }, scaled_RD, weights, rate);
    scaled_RD.dispose();
    if (!Number.isFinite(squaredError))
      throw new PatchbayError("non_finite", `SAE ${siteHook(at)}: the loss is not finite at step ${index}`);
    const firing = totals.add(R, squaredError, sparsity, fired_F);
    if (index < training.warmUpSteps) return;
    const excess = logarithmOf(Math.max(firing, Number.MIN_VALUE) / (R * training.targetL0));
    sparsity *= exponentialOf(training.steering * Math.max(-1, Math.min(1, excess)));
  };
  return {
    at,
    step,
    takeFigures: totals.take,
    state: () => {
      const { steps, first, second } = adam.state();
      const arrays = [...Object.entries(variables), ...suffixed(first, FIRST), ...suffixed(second, SECOND)];
      return { arrays: new Map(arrays), numbers: { scale, sparsity, steps } };
    },
    weights: () => unscaledWeights(variables, { ...training, dIn }, scale),
    dispose: () => {
      disposeVariables(variables);
      adam.dispose();
    },
  };
}

const suffixed = (tensors: ReadonlyMap<string, Tensor>, suffix: string): [string, Tensor][] =>
  [...tensors].map(([name, tensor]) => [name + suffix, tensor]);

/** Sums over steps. */
function createTotals(dSae: number) {
  const fired = new Float64Array(dSae);
  let [rows, error, price, firing] = [0, 0, 0, 0];
  return {
    /** @returns how often any feature fired in the batch. */
    add: (R: number, squaredError: number, sparsity: number, fired_F: Float32Array): number => {
      let inBatch = 0;
      for (let f = 0; f < dSae; f++) {
        const count = must(fired_F[f], "count");
        fired[f] = must(fired[f], "count") + count;
        inBatch += count;
      }
      rows += R;
      error += squaredError;
      firing += inBatch;
      price += sparsity * inBatch;
      return inBatch;
    },
    take: (): TrainingFigures => {
      const dead = fired.filter((count) => count === 0).length;
      const figures = { loss: (error + price) / rows, fvu: error / rows, l0: firing / rows, dead };
      fired.fill(0);
      [rows, error, price, firing] = [0, 0, 0, 0];
      return figures;
    },
  };
}

/** Mean of the rows, and their root mean squared distance from it. */
function centreAndScale(rows: Float32Array, dIn: number): { mean: Float32Array; scale: number } {
  const count = rows.length / dIn;
  const sums = new Float64Array(dIn);
  let squares = 0;
  for (let i = 0; i < rows.length; i++) {
    const value = must(rows[i], "value");
    sums[i % dIn] = must(sums[i % dIn], "sum") + value;
    squares += value * value;
  }
  const mean = Float32Array.from(sums, (sum) => sum / count);
  const scale = Math.sqrt(squares / count - sums.reduce((total, sum) => total + (sum / count) * (sum / count), 0));
  if (scale > 0) return { mean, scale };
  throw new PatchbayError(
    "bad_input",
    "expected activations that differ from token to token, got equal ones: more text",
  );
}
