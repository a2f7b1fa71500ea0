/** @file The noise floor: how well true effects agree with themselves, over prompts and over arithmetic. */
import { assert } from "../base/assert.js";
import { createRng } from "../base/rng.js";
import { quantileSorted } from "./bootstrap.js";
import { clusterMeans, clusterSums, intraclassCorrelation, type Clusters, type PromptMatrix } from "./clusters.js";
import { pearson, spearman } from "./correlation.js";
import { resampledMeans } from "./resampled-means.js";

/** Mean over random splits and the range that holds 95 % of them; null where undefined. */
export interface SplitRange {
  readonly value: number | null;
  readonly low: number | null;
  readonly high: number | null;
}

/** Correlation of node means between random halves of the clusters of prompts. */
export interface SplitHalf {
  /** Nodes whose mean is not zero in all prompts together. */
  readonly n: number;
  readonly prompts: number;
  readonly clusters: number;
  readonly splits: number;
  readonly pearson: SplitRange;
  readonly spearman: SplitRange;
  /** {@link SplitHalf.pearson} stepped up to the full number of clusters. */
  readonly spearman_brown: SplitRange;
  /** Median over the nodes of largest effect of the intraclass correlation by cluster; null where no cluster has two prompts. */
  readonly intraclass_correlation: number | null;
}

/** Splits where nothing else is asked for. */
const DEFAULT_SPLITS = 200;
/** Nodes whose intraclass correlation is asked. */
const LARGEST_EFFECTS = 10;

/** Random halves of the clusters: the first and the second of each split, one after the other. */
export interface SplitHalves {
  readonly splits: number;
  /** 1 where a half holds a cluster, `[2 splits, C]`. */
  readonly times: Uint8Array;
}

/** Splits the clusters in random halves again and again; one sits out where their number is odd. */
export function splitHalves({ count }: Clusters, seed: number, splits = DEFAULT_SPLITS): SplitHalves {
  const rng = createRng(seed, "split halves", count);
  const half = Math.floor(count / 2);
  const numbers = Array.from({ length: count }, (_, cluster) => cluster);
  const times = new Uint8Array(new SharedArrayBuffer(half < 1 ? 0 : 2 * splits * count));
  for (let row = 0; row < times.length; row += 2 * count) {
    const order = rng.shuffle(numbers);
    for (let i = 0; i < half; i++) {
      times[row + (order[i] as number)] = 1;
      times[row + count + (order[half + i] as number)] = 1;
    }
  }
  return { splits: half < 1 ? 0 : splits, times };
}

/** Correlates the node means of random halves of the clusters. Source: Spearman 1910, Brown 1910. */
export function splitHalfReliability(
  effects: PromptMatrix,
  clusters: Clusters,
  seed: number,
  splits = DEFAULT_SPLITS,
): SplitHalf {
  const sums = clusterSums(effects, clusters);
  const halves = splitHalves(clusters, seed, splits);
  const inHalves = resampledMeans(sums, halves.times);
  const means = clusterMeans(sums, null);
  return splitHalf(
    halves.splits,
    (half) => inHalves.subarray(half * effects.nodes, (half + 1) * effects.nodes),
    means,
    {
      prompts: effects.prompts,
      clusters: clusters.count,
      likeness: likenessOfLargest(effects, clusters, means),
    },
  );
}

/**
 * The reliability of node means.
 * @param inHalf - means of each node in a half, `[N]`.
 * @param means - of all prompts together, `[N]`.
 */
export function splitHalf(
  splits: number,
  inHalf: (half: number) => Float64Array,
  means: Float64Array,
  {
    prompts,
    clusters,
    likeness,
  }: { readonly prompts: number; readonly clusters: number; readonly likeness: readonly NodeLikeness[] },
): SplitHalf {
  const [pearsons, spearmans] = [new Float64Array(splits), new Float64Array(splits)];
  for (let split = 0; split < splits; split++) {
    const [a, b] = commonMeans(inHalf(2 * split), inHalf(2 * split + 1));
    pearsons[split] = pearson(a, b);
    spearmans[split] = spearman(a, b);
  }
  const range = rangeOf(pearsons);
  return {
    n: means.filter((mean) => mean !== 0 && !Number.isNaN(mean)).length,
    prompts,
    clusters,
    splits,
    pearson: range,
    spearman: rangeOf(spearmans),
    spearman_brown: { value: stepUp(range.value), low: stepUp(range.low), high: stepUp(range.high) },
    intraclass_correlation: medianLikeness(likeness),
  };
}

/** How alike a node's effects are within clusters. */
export interface NodeLikeness {
  readonly mean: number;
  /** The intraclass correlation by cluster; NaN where undefined. */
  readonly value: number;
}

/** The nodes of largest mean effect, the largest first; of equal ones the earlier. */
export function likenessOfLargest(effects: PromptMatrix, clusters: Clusters, means: Float64Array): NodeLikeness[] {
  const known = Array.from(means.keys()).filter((n) => Number.isFinite(means[n]) && means[n] !== 0);
  return largest(known.map((n) => ({ n, mean: means[n] as number }))).map(({ n, mean }) => {
    const { values, of } = valuesOfNode(effects, clusters, n);
    return { mean, value: intraclassCorrelation(values, of) };
  });
}

/** Of nodes in order, those of largest mean effect. */
function largest<Node extends { readonly mean: number }>(nodes: readonly Node[]): Node[] {
  return [...nodes].sort((a, b) => Math.abs(b.mean) - Math.abs(a.mean)).slice(0, LARGEST_EFFECTS);
}

/** Median over the nodes of largest mean effect. @param nodes - the largest of each part of the list, part by part. */
function medianLikeness(nodes: readonly NodeLikeness[]): number | null {
  const correlations = Float64Array.from(largest(nodes), ({ value }) => value).filter(Number.isFinite);
  return correlations.length === 0 ? null : quantileSorted(correlations.sort(), 0.5);
}

function valuesOfNode(
  { prompts, nodes, values, present }: PromptMatrix,
  clusters: Clusters,
  n: number,
): { values: number[]; of: number[] } {
  const here = Array.from({ length: prompts }, (_, p) => p).filter((p) => present?.[p * nodes + n] !== 0);
  return { values: here.map((p) => values[p * nodes + n] as number), of: here.map((p) => clusters.of[p] as number) };
}

/** Means of the nodes that both halves have and that are not zero in both. */
function commonMeans(a: Float64Array, b: Float64Array): [Float64Array, Float64Array] {
  const kept = (_: number, node: number): boolean =>
    !Number.isNaN(a[node]) && !Number.isNaN(b[node]) && (a[node] !== 0 || b[node] !== 0);
  return [a.filter(kept), b.filter(kept)];
}

function rangeOf(values: Float64Array): SplitRange {
  const sorted = values.filter(Number.isFinite).sort();
  if (sorted.length === 0 || sorted.length < values.length / 2) return { value: null, low: null, high: null };
  return {
    value: sorted.reduce((sum, one) => sum + one, 0) / sorted.length,
    low: quantileSorted(sorted, 0.025),
    high: quantileSorted(sorted, 0.975),
  };
}

/** Reliability of twice as many clusters. Source: Spearman-Brown. Held at -1 below r = -1/3, where the formula leaves [-1, 1]. */
function stepUp(r: number | null): number | null {
  if (r === null) return null;
  return r <= -1 / 3 ? -1 : (2 * r) / (1 + r);
}

/** Agreement of the same effects computed twice, with different block shapes. */
export interface NumericFloor {
  /** Node-prompt pairs compared. */
  readonly n: number;
  readonly max_abs_difference: number;
  /** Largest difference as a share of the larger of the two magnitudes; 0 where both are 0. */
  readonly max_relative_difference: number;
  /** Largest magnitude, to hold the absolute difference against. */
  readonly max_abs_effect: number;
  /** Null where undefined. */
  readonly pearson: number | null;
}

/** Compares two computations of the same effects, `[n]` each. */
export function numericFloor(a: Float64Array, b: Float64Array): NumericFloor {
  assert(a.length === b.length, "the two computations differ in length");
  let maxDifference = 0;
  let maxRelative = 0;
  let maxEffect = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs((a[i] as number) - (b[i] as number));
    const size = Math.max(Math.abs(a[i] as number), Math.abs(b[i] as number));
    maxDifference = Math.max(maxDifference, difference);
    maxEffect = Math.max(maxEffect, size);
    if (size > 0) maxRelative = Math.max(maxRelative, difference / size);
  }
  const r = pearson(a, b);
  return {
    n: a.length,
    max_abs_difference: maxDifference,
    max_relative_difference: maxRelative,
    max_abs_effect: maxEffect,
    pearson: Number.isNaN(r) ? null : r,
  };
}
