/**
 * @file Intervals of several statistics that hold all at once, for whoever picks the least or the largest of them.
 *
 * 1. Each correlation r is taken as Fisher's z, `log((1 + r) / (1 - r)) / 2`, whose distribution is less skewed near 1. Ratios are taken
 *    as they are.
 * 2. The replicates' largest distance from the estimates, each in its own spread, is taken over the statistics. A spread is half of
 *    what holds the middle 68 % of the replicates, so that few replicates at 1 do not decide it.
 * 3. The interval of each reaches as many spreads as 95 % of these, scaled for few clusters and extended for bias as single intervals
 *    are.
 *
 * Source: max-t, Westfall and Young 1993; Fisher 1921; Student's reach, `student.ts`.
 */
import { exponentialOf, logarithmOf } from "../base/elementary-functions.js";
import { quantileSorted, type Replicated } from "./bootstrap.js";
import { FEWEST_CLUSTERS } from "./clusters.js";
import { NORMAL, studentReach } from "./student.js";

const COVERAGE = 0.95;
/** Correlations nearer to 1 are taken as this. */
const LARGEST = 1 - 1e-12;

/** Bounds of an interval. */
export interface Bounds {
  readonly low: number;
  readonly high: number;
}

/** The scale on which distances are taken. */
interface Scale {
  readonly from: (value: number) => number;
  readonly back: (place: number) => number;
}

const FISHER: Scale = { from: stretched, back: shrunk };
/** For statistics that are not bounded. */
export const UNBOUNDED: Scale = { from: (value) => value, back: (place) => place };

/**
 * Simultaneous 95 % intervals; null for all with too few clusters, and for one that is not defined or does not vary.
 * @param scale - that of correlations unless it is given.
 */
export function simultaneousIntervals(
  statistics: readonly Replicated[],
  clusters: number,
  scale = FISHER,
): (Bounds | null)[] {
  const known = statistics.map(({ value, replicates }) => {
    const centre = scale.from(value);
    const values = replicates.map(scale.from);
    const sorted = values.filter(Number.isFinite).sort();
    const [spread, bias] = [spreadOf(sorted), quantileSorted(sorted, 0.5) - centre];
    return Number.isFinite(centre) && spread > 0 ? { centre, values, spread, bias } : null;
  });
  const some = known.filter((one) => one !== null);
  const draws = some[0]?.values.length ?? 0;
  if (clusters < FEWEST_CLUSTERS || draws < 2) return statistics.map(() => null);
  const largest = Float64Array.from({ length: draws }, (_, draw) =>
    some.reduce((most, { centre, values, spread }) => {
      const distance = Math.abs((values[draw] as number) - centre) / spread;
      return distance > most ? distance : most;
    }, 0),
  ).sort();
  const reach = (studentReach(clusters) / NORMAL) * quantileSorted(largest, COVERAGE);
  return known.map((one) =>
    one === null
      ? null
      : {
          low: scale.back(one.centre - reach * one.spread - Math.max(0, 2 * one.bias)),
          high: scale.back(one.centre + reach * one.spread - Math.min(0, 2 * one.bias)),
        },
  );
}

function stretched(r: number): number {
  const held = Math.max(-LARGEST, Math.min(LARGEST, r));
  return logarithmOf((1 + held) / (1 - held)) / 2;
}

function shrunk(value: number): number {
  const ratio = exponentialOf(-2 * Math.abs(value));
  return (Math.sign(value) * (1 - ratio)) / (1 + ratio);
}

/** Half of what holds the middle 68 % of ascending values: one standard deviation of a normal distribution. */
function spreadOf(sorted: Float64Array): number {
  return sorted.length < 2 ? 0 : (quantileSorted(sorted, 0.84) - quantileSorted(sorted, 0.16)) / 2;
}
