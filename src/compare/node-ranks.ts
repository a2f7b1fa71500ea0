/**
 * @file The ranks of the nodes with the largest effects, by effect and by each estimator, with intervals over the prompts' clusters.
 *
 * 1. Nodes of one kind that enter the statistics are ranked by the size of their means over prompts, 1 for the largest. A sampled node
 *    counts as the nodes of the frame that it stands for, and nodes of a size that is equal but for rounding share the middle of their places.
 * 2. The means are taken again over each resample of the clusters, and ranked again. The list of nodes, and what each stands for, is
 *    held fixed.
 */
import { must } from "../base/assert.js";
import type { ListedNode } from "../experiments/truth/node-table.js";
import { percentileInterval, timesOf, type Interval, type Resamples } from "../stats/bootstrap.js";
import { clusterMeans, clusterSums, type PromptMatrix } from "../stats/clusters.js";
import { isSame } from "../stats/correlation.js";

/** A quantity that ranks nodes: true effects, or an estimator. */
export interface RankedBy {
  readonly label: string;
  /** `[P, N]`. */
  readonly matrix: PromptMatrix;
}

/** A node and its rank by each quantity. */
export interface NodeRanks {
  readonly node: ListedNode;
  /** In the order of the quantities. */
  readonly ranks: readonly Interval[];
}

/**
 * Ranks of the largest nodes by the first quantity.
 * @param nodes - `[N]`, all of which enter.
 * @param count - how many of them are wanted.
 */
export function ranksOfLargest(
  nodes: readonly ListedNode[],
  quantities: readonly RankedBy[],
  count: number,
  resamples: Resamples,
): NodeRanks[] {
  const weights = Float64Array.from(nodes, ({ inclusionProbability }) => 1 / inclusionProbability);
  const places = weights.reduce((sum, weight) => sum + weight, 0);
  const { clusters } = resamples;
  const sums = quantities.map(({ matrix }) => clusterSums(matrix, clusters));
  const sizesIn = (times: Uint32Array | null): Float64Array[] =>
    sums.map((sum) => clusterMeans(sum, times).map((mean) => Math.abs(mean)));
  const sizes = sizesIn(null);
  const largest = largestOf(sizes[0] ?? new Float64Array(0), count);
  const ranksIn = (all: readonly Float64Array[]): number[][] =>
    largest.map((n) => all.map((own) => rankOf(n, own, weights)));
  const estimate = ranksIn(sizes);
  const draws = Array.from({ length: resamples.count }, (_, index) => ranksIn(sizesIn(timesOf(resamples, index))));
  return largest.map((n, i) => ({
    node: must(nodes[n], "node"),
    ranks: quantities.map((_, q) => {
      const replicates = Float64Array.from(draws, (draw) => must(draw[i]?.[q], "rank"));
      return withinPlaces(percentileInterval(must(estimate[i]?.[q], "rank"), replicates, clusters.count), places);
    }),
  }));
}

function largestOf(sizes: Float64Array, count: number): number[] {
  return Array.from(sizes.keys())
    .sort((a, b) => must(sizes[b], "size") - must(sizes[a], "size"))
    .slice(0, count);
}

/** Rank of node `n` by size; NaN where its size is not known in a resample. Nodes of unknown size count as the least. */
function rankOf(n: number, sizes: Float64Array, weights: Float64Array): number {
  const own = must(sizes[n], "size");
  if (Number.isNaN(own)) return Number.NaN;
  let [larger, equal] = [0, 0];
  for (let i = 0; i < sizes.length; i++) {
    const [size, weight] = [sizes[i] as number, weights[i] as number];
    if (isSame(size, own)) equal += weight;
    else if (size > own) larger += weight;
  }
  return larger + (equal + 1) / 2;
}

function withinPlaces({ low, high, ...interval }: Interval, places: number): Interval {
  if (low === null || high === null) return { ...interval, low, high };
  return { ...interval, low: Math.max(1, low), high: Math.min(places, high) };
}
