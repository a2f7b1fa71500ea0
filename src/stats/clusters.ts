/**
 * @file Clusters of prompts that are not independent of one another, such as prompts of one subject, and what is summed over them.
 *
 * Resamples, splits and standard errors draw clusters, never single prompts: prompts of one cluster repeat each other's noise, and
 * intervals that count them one by one are too narrow. Source: Cameron, Gelbach and Miller 2008.
 */
import { assert } from "../base/assert.js";

/** Fewer clusters give no interval: the bootstrap's distribution has too few values. */
export const FEWEST_CLUSTERS = 6;
/** Under this many clusters an interval comes with a warning. */
export const ENOUGH_CLUSTERS = 20;

/** Which cluster each prompt belongs to. */
export interface Clusters {
  /** Number of clusters, C. */
  readonly count: number;
  /** Cluster of each prompt, `[P]`, numbered in the order of their first prompts. */
  readonly of: Int32Array;
}

/** Clusters of prompts by their names; a prompt without a name (undefined) is a cluster of its own. */
export function clustersOf(names: readonly (string | undefined)[]): Clusters {
  const numbers = new Map<string, number>();
  let count = 0;
  const of = Int32Array.from(names, (name) => {
    if (name === undefined) return count++;
    const known = numbers.get(name) ?? count++;
    numbers.set(name, known);
    return known;
  });
  return { count, of };
}

/** Clusters of prompts that may name theirs. */
export function promptClusters(prompts: readonly { readonly cluster?: string }[]): Clusters {
  return clustersOf(prompts.map(({ cluster }) => cluster));
}

/** Values of nodes on prompts. */
export interface PromptMatrix {
  /** Number of prompts, P. */
  readonly prompts: number;
  /** Number of nodes, N. */
  readonly nodes: number;
  /** `[P, N]`. */
  readonly values: Float64Array;
  /** `[P, N]`: 1 where the prompt has the node's position; null where every prompt has every node. */
  readonly present: Uint8Array | null;
}

/** Sums of node values over the prompts of each cluster. */
export interface ClusterSums {
  /** Number of clusters, C. */
  readonly clusters: number;
  /** Number of nodes, N. */
  readonly nodes: number;
  /** `[C, N]`. */
  readonly sums: Float64Array;
  /** Prompts of a cluster that have the node, `[C, N]`; `[C]` where every prompt has every node. */
  readonly counts: Float64Array;
}

/** Sums a matrix over each cluster's prompts, in prompt order. */
export function clusterSums({ prompts, nodes, values, present }: PromptMatrix, clusters: Clusters): ClusterSums {
  assert(clusters.of.length === prompts, "one cluster per prompt");
  const sums = new Float64Array(clusters.count * nodes);
  const counts = new Float64Array(present === null ? clusters.count : sums.length);
  for (let p = 0; p < prompts; p++) {
    const cluster = clusters.of[p] as number;
    if (present === null) counts[cluster] = (counts[cluster] as number) + 1;
    for (let n = 0, from = p * nodes, to = cluster * nodes; n < nodes; n++, from++, to++) {
      if (present?.[from] === 0) continue;
      sums[to] = (sums[to] as number) + (values[from] as number);
      if (present !== null) counts[to] = (counts[to] as number) + 1;
    }
  }
  return { clusters: clusters.count, nodes, sums, counts };
}

/**
 * Mean of each node over the prompts that have it, a cluster's prompts counted as often as `times` says (once without), `[N]`.
 * NaN where no counted prompt has the node.
 */
export function clusterMeans({ clusters, nodes, sums, counts }: ClusterSums, times: Uint32Array | null): Float64Array {
  const isShared = counts.length === clusters;
  const means = new Float64Array(nodes);
  const totals = new Float64Array(isShared ? 1 : nodes);
  for (let cluster = 0; cluster < clusters; cluster++) {
    const t = times === null ? 1 : (times[cluster] as number);
    if (t === 0) continue;
    if (isShared) totals[0] = (totals[0] as number) + t * (counts[cluster] as number);
    for (let n = 0, at = cluster * nodes; n < nodes; n++, at++) {
      means[n] = (means[n] as number) + t * (sums[at] as number);
      if (!isShared) totals[n] = (totals[n] as number) + t * (counts[at] as number);
    }
  }
  for (let n = 0; n < nodes; n++) means[n] = (means[n] as number) / (totals[isShared ? 0 : n] as number);
  return means;
}

/**
 * Mean of values and its standard error by clusters: the root of `C / (C - 1)` times the summed squares of the clusters' summed
 * deviations, over the number of values. Where every value is a cluster of its own it is sd / sqrt(n). NaN where undefined.
 * @param of - cluster of each value.
 */
export function clusterMean(
  values: readonly number[],
  of: readonly number[],
): { readonly n: number; readonly mean: number; readonly sem: number } {
  const n = values.length;
  const mean = values.reduce((sum, one) => sum + one, 0) / n;
  const deviations = new Map<number, number>();
  values.forEach((value, i) => {
    const cluster = of[i] as number;
    deviations.set(cluster, (deviations.get(cluster) ?? 0) + (value - mean));
  });
  const count = deviations.size;
  const squares = [...deviations.values()].reduce((sum, one) => sum + one * one, 0);
  return { n, mean, sem: count < 2 ? Number.NaN : Math.sqrt((count / (count - 1)) * squares) / n };
}

/**
 * Intraclass correlation of values by cluster: the share of their variance that lies between clusters, by one-way analysis of
 * variance with clusters of unequal size. NaN where no cluster has two values, or there is one cluster. Source: Donner 1986.
 */
export function intraclassCorrelation(values: readonly number[], of: readonly number[]): number {
  const groups = groupIndexes(of);
  const [n, count] = [values.length, groups.size];
  if (count < 2 || n === count) return Number.NaN;
  const mean = values.reduce((sum, one) => sum + one, 0) / n;
  let [between, within, squares] = [0, 0, 0];
  for (const members of groups.values()) {
    const own = members.reduce((sum, i) => sum + (values[i] as number), 0) / members.length;
    between += members.length * squareOf(own - mean);
    squares += squareOf(members.length);
    for (const i of members) within += squareOf((values[i] as number) - own);
  }
  const typicalSize = (n - squares / n) / (count - 1);
  const [betweenSquare, withinSquare] = [between / (count - 1), within / (n - count)];
  return (betweenSquare - withinSquare) / (betweenSquare + (typicalSize - 1) * withinSquare);
}

/** The indexes at which each value stands, by value, in the order of first appearance. */
export function groupIndexes<T>(values: readonly T[]): Map<T, number[]> {
  const groups = new Map<T, number[]>();
  values.forEach((value, i) => {
    const found = groups.get(value);
    if (found === undefined) groups.set(value, [i]);
    else found.push(i);
  });
  return groups;
}

function squareOf(value: number): number {
  return value * value;
}
