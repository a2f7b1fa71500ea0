/**
 * @file Means and ratios over prompts, such as faithfulness, as ratio of means and as mean of ratios, with intervals.
 *
 * Rows are `[S, P]` (side, prompt). The sides of a prompt, and the prompts of a cluster, are resampled together.
 */
import { assert } from "../base/assert.js";
import {
  pairedDifference,
  percentileInterval,
  percentileRange,
  timesOf,
  UNDEFINED_INTERVAL,
  type Interval,
  type Replicated,
  type Resamples,
} from "./bootstrap.js";

/** What a circuit recovers and what there is to recover, row by row, `[S, P]`. */
export interface Recovered {
  readonly numerator: Float64Array;
  readonly denominator: Float64Array;
}

/** Mean over all rows. */
export function meanOfRows(rows: Float64Array, resamples: Resamples): Interval {
  const { value, replicates } = known.get(resamples)?.get(rows)?.mean ?? means(rows, resamples);
  return percentileInterval(value, replicates, resamples.clusters.count);
}

/**
 * Whether the mean over all rows is told from zero: its range over resamples lies on one side of it, however few the clusters are.
 * With one cluster there is no range; then any other value is.
 */
export function isToldFromZero(rows: Float64Array, resamples: Resamples): boolean {
  return drawn(rows, resamples).isTold;
}

/** What is asked of the same denominator again and again: by both ratios of a circuit, both definitions of each, and by all circuits. */
interface Drawn {
  readonly mean: Replicated;
  /** See {@link isToldFromZero}. */
  readonly isTold: boolean;
  /** Sums over all rows, and over each resample's. */
  readonly total: Replicated;
}

const known = new WeakMap<Resamples, WeakMap<Float64Array, Drawn>>();

/** Rows must stay as they are: what they give is kept as long as they are. */
function drawn(rows: Float64Array, resamples: Resamples): Drawn {
  const ofResamples = known.get(resamples) ?? new WeakMap<Float64Array, Drawn>();
  known.set(resamples, ofResamples);
  const found = ofResamples.get(rows) ?? draw(rows, resamples);
  ofResamples.set(rows, found);
  return found;
}

function draw(rows: Float64Array, resamples: Resamples): Drawn {
  const mean = means(rows, resamples);
  const { low, high } = percentileRange(mean.value, mean.replicates, resamples.clusters.count);
  const isTold = low === null || high === null || low > 0 || high < 0;
  const sums = sumByCluster(rows, resamples);
  return {
    mean,
    isTold: mean.value !== 0 && Number.isFinite(mean.value) && isTold,
    total: replicated(resamples, (times) => weightedSum(sums, times)),
  };
}

/**
 * `mean(numerator) / mean(denominator)` over all rows. Undefined where the mean denominator is not told from zero. Source:
 * docs/reference.md "Faithfulness".
 */
export function ratioOfMeans(numerator: Float64Array, denominator: Float64Array, resamples: Resamples): Interval {
  const found = replicatedRatio({ numerator, denominator }, resamples);
  if (found === null) return UNDEFINED_INTERVAL;
  return percentileInterval(found.value, found.replicates, resamples.clusters.count);
}

/** The paired difference of two {@link ratioOfMeans} over the same prompts and draws: first less second. Undefined where either is. */
export function differenceOfRatios(first: Recovered, second: Recovered, resamples: Resamples): Interval {
  const [one, other] = [replicatedRatio(first, resamples), replicatedRatio(second, resamples)];
  return one === null || other === null ? UNDEFINED_INTERVAL : pairedDifference(one, other, resamples.clusters.count);
}

/** A ratio of means with its replicates; null where the mean denominator is not told from zero. */
export function replicatedRatio({ numerator, denominator }: Recovered, resamples: Resamples): Replicated | null {
  const { isTold, total } = drawn(denominator, resamples);
  if (!isTold) return null;
  const sums = sumByCluster(numerator, resamples);
  const above = replicated(resamples, (times) => weightedSum(sums, times));
  return {
    value: above.value / total.value,
    replicates: above.replicates.map((sum, i) => sum / (total.replicates[i] as number)),
  };
}

/** Mean over all rows of `numerator / denominator`. Undefined where any denominator is zero, or their mean is not told from zero. */
export function meanOfRatios(numerator: Float64Array, denominator: Float64Array, resamples: Resamples): Interval {
  if (!isToldFromZero(denominator, resamples)) return UNDEFINED_INTERVAL;
  return meanOfRows(
    numerator.map((value, row) => value / (denominator[row] as number)),
    resamples,
  );
}

/** Numerators and denominators of `(m(circuit) - m(empty)) / (m(full) - m(empty))`, row by row. */
export function recovered(circuit: Float64Array, full: Float64Array, empty: Float64Array): Recovered {
  return { numerator: differences(circuit, empty), denominator: recoverable(full, empty) };
}

const recoverables = new WeakMap<Float64Array, WeakMap<Float64Array, Float64Array>>();

/** What circuits of one full model and one empty circuit share: one array for all of them, so that it is drawn once. */
function recoverable(full: Float64Array, empty: Float64Array): Float64Array {
  const ofFull = recoverables.get(full) ?? new WeakMap<Float64Array, Float64Array>();
  recoverables.set(full, ofFull);
  const found = ofFull.get(empty) ?? differences(full, empty);
  ofFull.set(empty, found);
  return found;
}

function differences(first: Float64Array, second: Float64Array): Float64Array {
  return first.map((one, row) => one - (second[row] as number));
}

function means(rows: Float64Array, resamples: Resamples): Replicated {
  const sums = sumByCluster(rows, resamples);
  const sizes = sumByCluster(new Float64Array(rows.length).fill(1), resamples);
  return replicated(resamples, (times) => weightedSum(sums, times) / weightedSum(sizes, times));
}

function replicated(resamples: Resamples, statistic: (times: Uint32Array) => number): Replicated {
  const replicates = new Float64Array(resamples.count);
  for (let index = 0; index < replicates.length; index++) replicates[index] = statistic(timesOf(resamples, index));
  return { value: statistic(new Uint32Array(resamples.clusters.count).fill(1)), replicates };
}

function sumByCluster(rows: Float64Array, { clusters: { count, of } }: Resamples): Float64Array {
  assert(of.length > 0 && rows.length % of.length === 0, "rows are not whole sides");
  const sums = new Float64Array(count);
  rows.forEach((value, row) => {
    const cluster = of[row % of.length] as number;
    sums[cluster] = (sums[cluster] as number) + value;
  });
  return sums;
}

function weightedSum(values: Float64Array, times: Uint32Array): number {
  let sum = 0;
  for (let cluster = 0; cluster < values.length; cluster++) {
    // A cluster that was not drawn must not turn an infinite value into NaN.
    if (times[cluster] !== 0) sum += (times[cluster] as number) * (values[cluster] as number);
  }
  return sum;
}
