/** @file Ratios over prompts, such as faithfulness, as ratio of means and as mean of ratios, with intervals. */
import { assert } from "../base/assert.js";
import { percentileInterval, timesOf, type Interval, type Resamples } from "./bootstrap.js";

const UNDEFINED: Interval = { value: null, low: null, high: null, bias: null };

/** Mean over all rows. Rows are `[S, P]` (side, prompt): the sides of a prompt are resampled together. */
export function meanOfRows(rows: Float64Array, resamples: Resamples): Interval {
  const perPrompt = sumOverSides(rows, resamples.prompts);
  return bootstrap(resamples, (times) => weightedSum(perPrompt, times) / rows.length);
}

/** Whether the interval lies on one side of zero; without an interval (one prompt only), whether the value is not zero. */
export function isToldFromZero({ value, low, high }: Interval): boolean {
  if (value === null || value === 0) return false;
  return low === null || high === null || low > 0 || high < 0;
}

/**
 * `mean(numerator) / mean(denominator)` over all rows. Rows are `[S, P]` (side, prompt): the sides of a prompt are
 * resampled together. Undefined where the mean denominator is not told from zero. Source: docs/reference.md "Faithfulness".
 */
export function ratioOfMeans(numerator: Float64Array, denominator: Float64Array, resamples: Resamples): Interval {
  if (!isToldFromZero(meanOfRows(denominator, resamples))) return UNDEFINED;
  const above = sumOverSides(numerator, resamples.prompts);
  const below = sumOverSides(denominator, resamples.prompts);
  return bootstrap(resamples, (times) => weightedSum(above, times) / weightedSum(below, times));
}

/**
 * Mean over all rows of `numerator / denominator`. Rows are `[S, P]` (side, prompt): the sides of a prompt are resampled
 * together. Undefined where any denominator is zero, or their mean is not told from zero.
 */
export function meanOfRatios(numerator: Float64Array, denominator: Float64Array, resamples: Resamples): Interval {
  if (!isToldFromZero(meanOfRows(denominator, resamples))) return UNDEFINED;
  const ratios = numerator.map((value, row) => value / (denominator[row] as number));
  const perPrompt = sumOverSides(ratios, resamples.prompts);
  return bootstrap(resamples, (times) => weightedSum(perPrompt, times) / ratios.length);
}

/** Numerators and denominators of `(m(circuit) - m(empty)) / (m(full) - m(empty))`, row by row. */
export function recovered(
  circuit: Float64Array,
  full: Float64Array,
  empty: Float64Array,
): { numerator: Float64Array; denominator: Float64Array } {
  return {
    numerator: circuit.map((m, row) => m - (empty[row] as number)),
    denominator: full.map((m, row) => m - (empty[row] as number)),
  };
}

function bootstrap(resamples: Resamples, statistic: (times: Uint32Array) => number): Interval {
  const replicates = new Float64Array(resamples.prompts < 2 ? 0 : resamples.count);
  for (let index = 0; index < replicates.length; index++) replicates[index] = statistic(timesOf(resamples, index));
  return percentileInterval(statistic(new Uint32Array(resamples.prompts).fill(1)), replicates);
}

function sumOverSides(rows: Float64Array, prompts: number): Float64Array {
  assert(prompts > 0 && rows.length % prompts === 0, "rows are not whole sides");
  const sum = new Float64Array(prompts);
  rows.forEach((value, row) => (sum[row % prompts] = (sum[row % prompts] as number) + value));
  return sum;
}

function weightedSum(values: Float64Array, times: Uint32Array): number {
  let sum = 0;
  for (let p = 0; p < values.length; p++) {
    // A prompt that was not drawn must not turn an infinite value into NaN.
    if (times[p] !== 0) sum += (times[p] as number) * (values[p] as number);
  }
  return sum;
}
