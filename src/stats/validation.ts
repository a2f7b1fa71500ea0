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
import { assert, must } from "../base/assert.js";
import { compareMeans, RANGES, STATISTICS, TOP_K, type NodeMeans, type Statistic } from "./agreement.js";
import { pairedDifference, percentileInterval, resampleClusters, type Interval, type Replicated } from "./bootstrap.js";
import { clusterMeans, clusterSums, type Clusters, type PromptMatrix } from "./clusters.js";
import { resampledWeights, type NodeDesign } from "./node-weights.js";
import { levelsOf } from "./rank.js";
import { resampledMeansOf } from "./resampled-means.js";

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

/** How the nodes of a family are grouped and drawn. */
export type FamilyGroups = Pick<FamilyInput, "design" | "groups" | "seed">;

/** Means over prompts, `[N]` each. */
export interface FamilyMeans {
  readonly truth: Float64Array;
  readonly scores: readonly Float64Array[];
}

/** Draws whose means are held at once. */
const DRAWS_AT_ONCE = 64;

/** Statistics of each score in each group: `[scores][groups]`. */
export function validateFamily(input: FamilyInput): GroupAgreement[][] {
  const { truth, scores, clusters, design } = input;
  assert(
    scores.every(({ prompts, nodes }) => prompts === truth.prompts && nodes === truth.nodes),
    "score and truth differ in shape",
  );
  assert(design.weights.length === truth.nodes && design.strata.length === truth.nodes, "one weight per node");
  const { count, times } = resampleClusters(clusters, input.resamples, input.seed);
  const sums = [truth, ...scores].map((matrix) => clusterSums(matrix, clusters));
  const replicates = emptyReplicates(input, scores.length, count);
  for (let from = 0; from < count; from += DRAWS_AT_ONCE) {
    const to = Math.min(count, from + DRAWS_AT_ONCE);
    const drawn = times.subarray(from * clusters.count, to * clusters.count);
    const means = familyMeans(resampledMeansOf(sums, drawn));
    putReplicates(replicates, from, replicateGroups(input, means, [from, to]));
  }
  const estimate = familyMeans(sums.map((own) => clusterMeans(own, null)));
  return closeGroups(input, estimate, replicates, clusters.count);
}

/** Means, truth first, as a family's. */
export function familyMeans(means: readonly Float64Array[]): FamilyMeans {
  const [truth, ...scores] = means;
  return { truth: must(truth, "truth"), scores };
}

/** Replicates of every statistic, `[groups, scores, sample and frame, statistics, draws]`; 0 in groups too small for intervals. */
export interface Replicates {
  readonly draws: number;
  readonly values: Float64Array;
}

/** Replicates of draws that are still to come. */
export function emptyReplicates({ groups }: FamilyGroups, scores: number, draws: number): Replicates {
  return { draws, values: new Float64Array(groups.length * scores * 2 * STATISTICS.length * draws) };
}

/** Puts the replicates of some draws in their place, from draw `from` on. */
export function putReplicates({ draws, values }: Replicates, from: number, some: Replicates): void {
  for (let row = 0; row * draws < values.length; row++)
    values.set(some.values.subarray(row * some.draws, (row + 1) * some.draws), row * draws + from);
}

/** Where the replicates of a group, score and side (0: sample, 1: frame) begin, counted in rows of draws. */
function rowOf(group: number, score: number, side: 0 | 1, scores: number): number {
  return ((group * scores + score) * 2 + side) * STATISTICS.length;
}

/**
 * Every statistic in some draws.
 * @param means - of the draws alone, `[draws, N]` each.
 */
export function replicateGroups(
  { groups, design, seed }: FamilyGroups,
  { truth, scores }: FamilyMeans,
  [from, to]: readonly [number, number],
): Replicates {
  const found = emptyReplicates({ groups, design, seed }, scores.length, to - from);
  const nextWeights = resampledWeights(design, seed);
  for (let before = 0; before < from; before++) nextWeights();
  const nodes = design.weights.length;
  const isSampled = groups.map((members) => members.some((n) => design.weights[n] !== 1));
  for (let draw = 0; draw < found.draws; draw++) {
    const rowIn = (means: Float64Array): Float64Array => means.subarray(draw * nodes, (draw + 1) * nodes);
    const means = { truth: rowIn(truth), scores: scores.map(rowIn) };
    const weights = nextWeights();
    groups.forEach((members, g) => {
      if (members.length < FEWEST_NODES) return;
      const gathered = gather(members, means);
      const own = isSampled[g] === true ? pick(weights, gathered.members) : null;
      gathered.means.forEach((one, s) => {
        const sample = compareMeans(one, null);
        // The same numbers where every node stands for itself.
        const frame = own === null ? sample : compareMeans(one, own);
        for (const [side, statistics] of [sample, frame].entries()) {
          const row = rowOf(g, s, side as 0 | 1, scores.length);
          statistics.forEach((value, at) => (found.values[(row + at) * found.draws + draw] = value));
        }
      });
    });
  }
  return found;
}

/** Nodes of a group that have means: a resample may hold no prompt with a node's position. */
interface Gathered {
  readonly members: readonly number[];
  /** One for each score; they share the effects. */
  readonly means: readonly NodeMeans[];
}

function gather(members: readonly number[], { truth, scores }: FamilyMeans): Gathered {
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

/** The statistics of each group with their intervals: `[scores][groups]`. @param clusters - number of clusters of prompts. */
export function closeGroups(
  { groups, design }: FamilyGroups,
  estimate: FamilyMeans,
  { draws, values }: Replicates,
  clusters: number,
): GroupAgreement[][] {
  const scores = estimate.scores.length;
  return estimate.scores.map((_, s) =>
    groups.map((group, g) => {
      const replicatesOf = (side: 0 | 1): Float64Array[] =>
        STATISTICS.map((_, at) => {
          const start = (rowOf(g, s, side, scores) + at) * draws;
          return values.subarray(start, group.length < FEWEST_NODES ? start : start + draws);
        });
      const { members, means } = gather(group, estimate);
      return closeGroup(must(means[s], "means"), pick(design.weights, members), {
        sample: replicatesOf(0),
        frame: replicatesOf(1),
        clusters,
      });
    }),
  );
}

function closeGroup(
  means: NodeMeans,
  weights: Float64Array,
  {
    sample,
    frame,
    clusters,
  }: { readonly sample: readonly Float64Array[]; readonly frame: readonly Float64Array[]; readonly clusters: number },
): GroupAgreement {
  const frameSize = weights.reduce((sum, weight) => sum + weight, 0);
  const agreement = (values: readonly number[], replicates: readonly Float64Array[], size: number): Agreement => {
    const intervals = STATISTICS.map((name, at): [Statistic, Interval] => {
      const interval = percentileInterval(values[at] as number, replicates[at] as Float64Array, clusters);
      return [name, shownInterval(interval, RANGES[name], weights.length)];
    });
    const named = Object.fromEntries(intervals) as Record<Statistic, Interval>;
    const chance = named.top_k_overlap.value === null ? null : TOP_K / size;
    return { ...named, top_k_overlap: { k: TOP_K, chance, ...named.top_k_overlap } };
  };
  const named = STATISTICS.map((name, at) => [name, frame[at]] as const);
  return {
    n: weights.length,
    frameSize,
    sample: agreement(compareMeans(means, null), sample, weights.length),
    frame: agreement(compareMeans(means, weights), frame, frameSize),
    replicates: Object.fromEntries(named) as Record<Statistic, Float64Array>,
  };
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
