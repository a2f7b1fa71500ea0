/**
 * @file Intervals of several correlations that hold all at once, for whoever picks the least or the largest of them.
 *
 * 1. Each correlation r is taken as `r / sqrt(1 - r^2)`, whose distribution is less skewed near 1.
 * 2. The replicates' largest distance from the estimates, each in its own standard errors, is taken over the correlations.
 * 3. The interval of each reaches as many standard errors as 95 % of these, scaled for few clusters as single intervals are.
 *
 * Source: max-t, Westfall and Young 1993; Student's reach, `student.ts`.
 */
import { quantileSorted } from "./bootstrap.js";
import { FEWEST_CLUSTERS } from "./clusters.js";
import { studentQuantile } from "./student.js";

const COVERAGE = 0.95;
const NORMAL = 1.959963984540054;
/** Correlations nearer to 1 are taken as this. */
const LARGEST = 1 - 1e-12;

/** A correlation with its replicates, of draws that all correlations share. */
export interface Replicated {
  readonly value: number;
  readonly replicates: Float64Array;
}

/** Bounds of an interval. */
export interface Bounds {
  readonly low: number;
  readonly high: number;
}

/** Simultaneous 95 % intervals of correlations; null for all with too few clusters, and for one that is not defined or does not vary. */
export function simultaneousIntervals(correlations: readonly Replicated[], clusters: number): (Bounds | null)[] {
  const known = correlations.map(({ value, replicates }) => {
    const centre = stretched(value);
    const values = replicates.map(stretched);
    const deviation = standardDeviation(values.filter(Number.isFinite));
    return Number.isFinite(centre) && deviation > 0 ? { centre, values, deviation } : null;
  });
  const some = known.filter((one) => one !== null);
  const draws = some[0]?.values.length ?? 0;
  if (clusters < FEWEST_CLUSTERS || draws < 2) return correlations.map(() => null);
  const largest = Float64Array.from({ length: draws }, (_, draw) =>
    some.reduce((most, { centre, values, deviation }) => {
      const distance = Math.abs((values[draw] as number) - centre) / deviation;
      return distance > most ? distance : most;
    }, 0),
  ).sort();
  const fewness = (Math.sqrt(clusters / (clusters - 1)) * studentQuantile(clusters - 1)) / NORMAL;
  const reach = fewness * quantileSorted(largest, COVERAGE);
  return known.map((one) =>
    one === null
      ? null
      : { low: shrunk(one.centre - reach * one.deviation), high: shrunk(one.centre + reach * one.deviation) },
  );
}

function stretched(r: number): number {
  const held = Math.max(-LARGEST, Math.min(LARGEST, r));
  return held / Math.sqrt(1 - held * held);
}

function shrunk(value: number): number {
  return value / Math.sqrt(1 + value * value);
}

function standardDeviation(values: Float64Array): number {
  const mean = values.reduce((sum, one) => sum + one, 0) / values.length;
  const squares = values.reduce((sum, one) => sum + (one - mean) * (one - mean), 0);
  return Math.sqrt(squares / (values.length - 1));
}
