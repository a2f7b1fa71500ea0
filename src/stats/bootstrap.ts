/**
 * @file The paired bootstrap over clusters of prompts: how often a resample holds each cluster, and intervals from its replicates.
 *
 * Intervals are percentile intervals, expanded for few clusters and extended for bias. A resample adds noise to node means that are
 * noisy already, so replicates of a correlation lie below the estimate, and the estimate below what more prompts would give, by about
 * as much: percentile intervals of Pearson's r held a known frame's value in .3 to .8 of samples. Shifting them by twice the bias, as
 * basic and bias-corrected intervals do in effect, breaks rank statistics (.6 to .8). So an interval holds both: it is extended by
 * twice the bias, to the side of more agreement or less, whichever the bias hides. bench/coverage measures it, and docs/reference.md
 * has the table.
 */
import { createRng } from "../base/rng.js";
import { FEWEST_CLUSTERS, type Clusters } from "./clusters.js";
import { tailShare } from "./student.js";

/** Resamples behind every interval of a run. */
export const RESAMPLES = 1000;

/** Draws of C clusters from C with replacement. */
export interface Resamples {
  readonly clusters: Clusters;
  /** Number of resamples; none where there is one cluster only. */
  readonly count: number;
  /** How often each cluster was drawn, `[count, C]`. */
  readonly times: Uint32Array;
}

/** An estimate with its 95 % interval; null where undefined. */
export interface Interval {
  readonly value: number | null;
  readonly low: number | null;
  readonly high: number | null;
  /** Mean of the replicates less the estimate. */
  readonly bias: number | null;
}

/** An estimate with its replicates, one for each resample; NaN where undefined. */
export interface Replicated {
  readonly value: number;
  readonly replicates: Float64Array;
}

/** An estimate that is not defined. */
export const UNDEFINED_INTERVAL: Interval = { value: null, low: null, high: null, bias: null };

/**
 * Draws resamples. They depend on the number of clusters and the seed alone, so every statistic of a run sees the same
 * ones and differences between statistics are paired. Source: Efron 1979.
 */
export function resampleClusters(clusters: Clusters, count: number, seed: number): Resamples {
  const draws = clusters.count < 2 ? 0 : count;
  return { clusters, count: draws, times: drawTimes(clusters.count, draws, seed) };
}

function drawTimes(clusters: number, count: number, seed: number): Uint32Array {
  if (lastDraw?.clusters === clusters && lastDraw.count === count && lastDraw.seed === seed) return lastDraw.times;
  const rng = createRng(seed, "bootstrap over prompts", clusters);
  // Threads read them where they are: of many clusters they are a hundred megabytes.
  const times = new Uint32Array(new SharedArrayBuffer(4 * count * clusters));
  for (let row = 0; row < times.length; row += clusters) {
    for (let draw = 0; draw < clusters; draw++) {
      const at = row + rng.int(clusters);
      times[at] = (times[at] as number) + 1;
    }
  }
  lastDraw = { clusters, count, seed, times };
  return times;
}

/** The parts of a run ask for the same draw one after the other, and drawing takes longer than using it. */
let lastDraw: { clusters: number; count: number; seed: number; times: Uint32Array } | undefined;

/** How often each cluster occurs in resample `index`, `[C]` (a view). */
export function timesOf({ clusters, times }: Resamples, index: number): Uint32Array {
  return times.subarray(index * clusters.count, (index + 1) * clusters.count);
}

/** The difference of two estimates whose replicates are of the same draws: first less second. */
export function pairedDifference(first: Replicated, second: Replicated, clusters: number): Interval {
  const replicates = first.replicates.map((one, i) => one - (second.replicates[i] as number));
  return percentileInterval(first.value - second.value, replicates, clusters);
}

/** {@link percentileRange}, or no interval where clusters are fewer than {@link FEWEST_CLUSTERS}. */
export function percentileInterval(value: number, replicates: Float64Array, clusters: number): Interval {
  const range = percentileRange(value, replicates, clusters);
  return clusters < FEWEST_CLUSTERS ? { ...range, low: null, high: null } : range;
}

/**
 * Expanded percentile interval of an estimate from its replicates (NaN replicates are left out), extended by twice their bias against
 * it, and widened where needed to hold the estimate. No interval where fewer than half of the replicates, or of two, are defined, or with one cluster. Source: Efron and
 * Tibshirani 1993, section 13.3; {@link tailShare}.
 */
export function percentileRange(value: number, replicates: Float64Array, clusters: number): Interval {
  if (!Number.isFinite(value)) return UNDEFINED_INTERVAL;
  const sorted = replicates.filter(Number.isFinite).sort();
  if (sorted.length < Math.max(2, replicates.length / 2)) return { value, low: null, high: null, bias: null };
  const tail = tailShare(Math.max(3, clusters));
  const bias = sorted.reduce((sum, one) => sum + one, 0) / sorted.length - value;
  return {
    value,
    low: Math.min(value, quantileSorted(sorted, tail) - Math.max(0, 2 * bias)),
    high: Math.max(value, quantileSorted(sorted, 1 - tail) - Math.min(0, 2 * bias)),
    bias,
  };
}

/** Quantile of ascending values by linear interpolation. Source: Hyndman and Fan 1996, definition 7. */
export function quantileSorted(sorted: Float64Array, q: number): number {
  const place = q * (sorted.length - 1);
  const low = Math.floor(place);
  const [a, b] = [sorted[low] as number, sorted[Math.min(low + 1, sorted.length - 1)] as number];
  return a + (place - low) * (b - a);
}
