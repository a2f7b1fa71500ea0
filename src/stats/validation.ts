/**
 * @file How well scores predict true effects, for the groups of one family of nodes, with intervals over prompts and nodes.
 *
 * 1. Average scores and effects of each node over prompts, and compare the means over the nodes of a group: once with every node
 *    counted alike (the sample), once with each node weighted by how many nodes of its frame it stands for (the frame).
 * 2. Repeat it for resamples of the clusters of prompts, the scores and the effect of a prompt always together. The frame's replicates
 *    resample the nodes within their strata as well: the node list is one draw of many.
 * 3. The same resamples serve every score and group, so differences between scores are paired.
 *
 * Intervals of the sample hold the node list fixed: they say how far the result hangs on the prompts alone.
 */
import { assert } from "../base/assert.js";
import { compareMeans, RANGES, STATISTICS, TOP_K, type NodeMeans, type Statistic } from "./agreement.js";
import {
  pairedDifference,
  percentileInterval,
  resampleClusters,
  timesOf,
  type Interval,
  type Replicated,
  type Resamples,
} from "./bootstrap.js";
import { clusterMeans, clusterSums, type Clusters, type ClusterSums, type PromptMatrix } from "./clusters.js";
import { resampledWeights, type NodeDesign } from "./node-weights.js";
import { levelsOf } from "./rank.js";

/** Groups of fewer nodes have no intervals: a correlation of so few hangs on each of them. */
export const FEWEST_NODES = 10;

/** Agreement of a score with the true effects, in the spelling of validation.json. */
export type Agreement = Readonly<Record<Exclude<Statistic, "top_k_overlap">, Interval>> & {
  readonly top_k_overlap: Interval & {
    readonly k: number;
    /** What a random order would reach on average. */
    readonly chance: number | null;
  };
};

/** The statistics of one group and score. */
export interface GroupAgreement {
  /** Nodes compared. */
  readonly n: number;
  /** How many nodes of the frame they stand for. */
  readonly frameSize: number;
  /** Every node counted alike. */
  readonly sample: Agreement;
  /** Each node weighted by 1 / inclusion probability. */
  readonly frame: Agreement;
  /** Replicates of the frame's statistics, `[resamples]` each. */
  readonly replicates: Readonly<Record<Statistic, Float64Array>>;
}

/** What {@link validateFamily} compares. Prompts and nodes of all matrices are the same, in the same order, and present in all or none. */
export interface FamilyInput {
  /** True effects. */
  readonly truth: PromptMatrix;
  readonly scores: readonly PromptMatrix[];
  readonly clusters: Clusters;
  readonly design: NodeDesign;
  /** Nodes of each group. */
  readonly groups: readonly (readonly number[])[];
  readonly seed: number;
  /** Number of bootstrap resamples. */
  readonly resamples: number;
}

/** Statistics of each score in each group: `[scores][groups]`. */
export function validateFamily(input: FamilyInput): GroupAgreement[][] {
  const { truth, scores, clusters, design, groups } = input;
  assert(
    scores.every(({ prompts, nodes }) => prompts === truth.prompts && nodes === truth.nodes),
    "score and truth differ in shape",
  );
  assert(design.weights.length === truth.nodes && design.strata.length === truth.nodes, "one weight per node");
  const resamples = resampleClusters(clusters, input.resamples, input.seed);
  const sums = { truth: clusterSums(truth, clusters), scores: scores.map((score) => clusterSums(score, clusters)) };
  const cells = groups.map((members) => openCell(members, scores.length, design, resamples.count));
  const nextWeights = resampledWeights(design, input.seed);
  for (let index = 0; index < resamples.count; index++) {
    const means = meansOf(sums, timesOf(resamples, index));
    const weights = nextWeights();
    for (const cell of cells) if (cell.count > 0) replicate(cell, index, gather(cell.members, means), weights);
  }
  const means = meansOf(sums, null);
  const closed = cells.map((cell) => closeCell(cell, gather(cell.members, means), design, resamples));
  return scores.map((_, s) => closed.map((group) => group[s] as GroupAgreement));
}

/** One group, while resamples are drawn. */
interface Cell {
  readonly members: readonly number[];
  /** Whether a node stands for more than itself. */
  readonly isSampled: boolean;
  /** Number of replicates: none where the group is too small for intervals. */
  readonly count: number;
  /** Replicates of each score's statistics, `[scores][statistics]` of `[count]`. */
  readonly sample: readonly (readonly Float64Array[])[];
  readonly frame: readonly (readonly Float64Array[])[];
}

function openCell(members: readonly number[], scores: number, { weights }: NodeDesign, resamples: number): Cell {
  const count = members.length < FEWEST_NODES ? 0 : resamples;
  const arrays = (): Float64Array[][] =>
    Array.from({ length: scores }, () => STATISTICS.map(() => new Float64Array(count)));
  return { members, isSampled: members.some((n) => weights[n] !== 1), count, sample: arrays(), frame: arrays() };
}

/** Means over prompts, `[N]` each. */
interface Means {
  readonly truth: Float64Array;
  readonly scores: readonly Float64Array[];
}

function meansOf(
  { truth, scores }: { readonly truth: ClusterSums; readonly scores: readonly ClusterSums[] },
  times: Uint32Array | null,
): Means {
  return { truth: clusterMeans(truth, times), scores: scores.map((score) => clusterMeans(score, times)) };
}

/** Nodes of a group that have means: a resample may hold no prompt with a node's position. */
interface Gathered {
  readonly members: readonly number[];
  /** One for each score; they share the effects. */
  readonly means: readonly NodeMeans[];
}

function gather(members: readonly number[], { truth, scores }: Means): Gathered {
  const isDefined = (n: number): boolean => !Number.isNaN(truth[n]);
  const known = members.every(isDefined) ? members : members.filter(isDefined);
  const effect = pick(truth, known);
  const effectLevels = levelsOf(effect);
  const means = scores.map((values) => {
    const score = pick(values, known);
    return { score, effect, scoreLevels: levelsOf(score), effectLevels };
  });
  return { members: known, means };
}

/** A loop, because `Float64Array.from` took a third of the bootstrap's time. */
function pick(values: Float64Array, rows: readonly number[]): Float64Array {
  const picked = new Float64Array(rows.length);
  for (let i = 0; i < picked.length; i++) picked[i] = values[rows[i] as number] as number;
  return picked;
}

function replicate(cell: Cell, index: number, { members, means }: Gathered, weights: Float64Array): void {
  const own = cell.isSampled ? pick(weights, members) : null;
  means.forEach((one, s) => {
    const sample = compareMeans(one, null);
    // The same numbers where every node stands for itself.
    const frame = own === null ? sample : compareMeans(one, own);
    cell.sample[s]?.forEach((replicates, at) => (replicates[index] = sample[at] as number));
    cell.frame[s]?.forEach((replicates, at) => (replicates[index] = frame[at] as number));
  });
}

function closeCell(
  cell: Cell,
  { members, means }: Gathered,
  { weights }: NodeDesign,
  { clusters }: Resamples,
): GroupAgreement[] {
  const own = pick(weights, members);
  const frameSize = own.reduce((sum, weight) => sum + weight, 0);
  const agreement = (values: readonly number[], replicates: readonly Float64Array[], size: number): Agreement => {
    const intervals = STATISTICS.map((name, at): [Statistic, Interval] => {
      const interval = percentileInterval(values[at] as number, replicates[at] as Float64Array, clusters.count);
      return [name, shownInterval(interval, RANGES[name], members.length)];
    });
    const named = Object.fromEntries(intervals) as Record<Statistic, Interval>;
    const chance = named.top_k_overlap.value === null ? null : TOP_K / size;
    return { ...named, top_k_overlap: { k: TOP_K, chance, ...named.top_k_overlap } };
  };
  return means.map((one, s) => {
    const [sample, frame] = [cell.sample[s] as readonly Float64Array[], cell.frame[s] as readonly Float64Array[]];
    const named = STATISTICS.map((name, at) => [name, frame[at]] as const);
    return {
      n: members.length,
      frameSize,
      sample: agreement(compareMeans(one, null), sample, members.length),
      frame: agreement(compareMeans(one, own), frame, frameSize),
      replicates: Object.fromEntries(named) as Record<Statistic, Float64Array>,
    };
  });
}

/** The paired difference of a statistic between two scores in one group: first less second. */
export function differenceOf(
  first: GroupAgreement,
  second: GroupAgreement,
  statistic: Statistic,
  clusters: number,
): Interval {
  const replicated = ({ frame, replicates }: GroupAgreement): Replicated => ({
    value: frame[statistic].value ?? Number.NaN,
    replicates: replicates[statistic],
  });
  const interval = pairedDifference(replicated(first), replicated(second), clusters);
  return shownInterval(interval, [-Infinity, Infinity], Math.min(first.n, second.n));
}

/**
 * An interval as it is shown: none over fewer nodes than {@link FEWEST_NODES}, and none wider than what its statistic can be.
 * @param range - the least and the largest value of the statistic.
 */
export function shownInterval(interval: Interval, [least, most]: readonly [number, number], nodes: number): Interval {
  const { low, high } = interval;
  if (low === null || high === null || nodes < FEWEST_NODES) return { ...interval, low: null, high: null };
  return { ...interval, low: Math.max(low, least), high: Math.min(high, most) };
}
