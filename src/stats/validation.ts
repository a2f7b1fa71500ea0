/**
 * @file How well a score predicts true effects, for one group of nodes, with intervals over prompts.
 *
 * 1. Average score and effect of each node over prompts; keep the nodes where either mean is not zero.
 * 2. Compare the means over nodes: correlations, sign agreement, least squares of effect on score, top-k overlap; once
 *    with every node counted alike, once with each node weighted by how many nodes of its frame it stands for.
 * 3. Repeat 1 and 2 for resamples of the prompts, the score and the effect of a prompt always together.
 *
 * The node list is held fixed: an interval says how far the result hangs on the prompts, not on which nodes were sampled.
 */
import { assert } from "../base/assert.js";
import {
  nodeMeans,
  percentileInterval,
  resamplePrompts,
  timesOf,
  type Interval,
  type PromptMatrix,
} from "./bootstrap.js";
import { leastSquares, pearson, signAgreement, spearmanOfLevels } from "./correlation.js";
import { kendallOfLevels } from "./kendall.js";
import { levelsOf } from "./rank.js";
import { topKOverlap } from "./top-k.js";

/** Resamples where nothing else is asked for. */
const DEFAULT_RESAMPLES = 1000;

/** Nodes in each of the two lists that top-k overlap compares, where the group has as many. */
const TOP_K = 10;

/** The statistics, in the order of the arrays below. */
const STATISTICS = ["pearson", "spearman", "kendall", "sign_agreement", "slope", "intercept", "top_k_overlap"] as const;

/** Agreement of a score with the true effects, in the spelling of validation.json. */
export interface Agreement {
  readonly pearson: Interval;
  readonly spearman: Interval;
  /** tau-b. */
  readonly kendall: Interval;
  readonly sign_agreement: Interval;
  /** Least squares of effect on score. */
  readonly slope: Interval;
  readonly intercept: Interval;
  readonly top_k_overlap: Interval & { readonly k: number };
}

/** One group of validation.json, without the keys that name it. */
export interface GroupValidation extends Agreement {
  /** Nodes whose mean score or mean effect is not zero. */
  readonly n: number;
  /** The same, each node weighted by 1 / inclusion probability. */
  readonly weighted: Agreement;
}

/** What {@link validateGroup} compares. Prompts and nodes of the two matrices are the same, in the same order. */
export interface GroupInput {
  /** True effects. */
  readonly truth: PromptMatrix;
  readonly score: PromptMatrix;
  /** 1 / inclusion probability of each node, `[N]`. */
  readonly weights: Float64Array;
  readonly seed: number;
  /** Number of bootstrap resamples. */
  readonly resamples?: number;
}

/** Compares a score with true effects over the nodes of one group. */
export function validateGroup({
  truth,
  score,
  weights,
  seed,
  resamples = DEFAULT_RESAMPLES,
}: GroupInput): GroupValidation {
  assert(truth.prompts === score.prompts && truth.nodes === score.nodes, "score and truth differ in shape");
  assert(weights.length === truth.nodes, "one weight per node");
  const weighted = weights.some((weight) => weight !== 1);
  const nodes = enteringNodes(score, truth, weights, null);
  const k = Math.min(TOP_K, nodes.score.length);
  const draws = resamplePrompts(truth.prompts, truth.prompts < 2 ? 0 : resamples, seed);
  const plainReplicates = STATISTICS.map(() => new Float64Array(draws.count));
  const weightedReplicates = weighted ? STATISTICS.map(() => new Float64Array(draws.count)) : plainReplicates;
  for (let index = 0; index < draws.count; index++) {
    const { plain, byWeight } = compare(enteringNodes(score, truth, weights, timesOf(draws, index)), k, weighted);
    plainReplicates.forEach((replicates, s) => (replicates[index] = plain[s] as number));
    if (weighted) weightedReplicates.forEach((replicates, s) => (replicates[index] = byWeight[s] as number));
  }
  const { plain, byWeight } = compare(nodes, k, weighted);
  return {
    n: nodes.score.length,
    ...toAgreement(plain, plainReplicates, k),
    weighted: toAgreement(byWeight, weightedReplicates, k),
  };
}

/** Node means that enter the comparison, `[n]` each. */
interface NodeMeans {
  readonly score: Float64Array;
  readonly truth: Float64Array;
  readonly weights: Float64Array;
}

/** Means over the resample's prompts of the nodes whose mean score or mean effect is not zero in it. */
function enteringNodes(
  score: PromptMatrix,
  truth: PromptMatrix,
  weights: Float64Array,
  times: Uint32Array | null,
): NodeMeans {
  const scoreMeans = nodeMeans(score, times);
  const truthMeans = nodeMeans(truth, times);
  const kept = weights.slice();
  let n = 0;
  for (let node = 0; node < scoreMeans.length; node++) {
    const x = scoreMeans[node] as number;
    const y = truthMeans[node] as number;
    if ((x === 0 && y === 0) || Number.isNaN(x) || Number.isNaN(y)) continue;
    scoreMeans[n] = x;
    truthMeans[n] = y;
    kept[n] = weights[node] as number;
    n++;
  }
  return { score: scoreMeans.subarray(0, n), truth: truthMeans.subarray(0, n), weights: kept.subarray(0, n) };
}

/** All statistics of one set of node means, in the order of {@link STATISTICS}; the sorting is shared. */
function compare(nodes: NodeMeans, k: number, weighted: boolean): { plain: number[]; byWeight: number[] } {
  const { score, truth } = nodes;
  const scoreLevels = levelsOf(score);
  const truthLevels = levelsOf(truth);
  const statistics = (w: Float64Array | null): number[] => {
    const { slope, intercept } = leastSquares(score, truth, w);
    return [
      pearson(score, truth, w),
      spearmanOfLevels(scoreLevels, truthLevels, w),
      kendallOfLevels(scoreLevels, truthLevels, w),
      signAgreement(score, truth, w),
      slope,
      intercept,
      topKOverlap(score, truth, k, w),
    ];
  };
  const plain = statistics(null);
  return { plain, byWeight: weighted ? statistics(nodes.weights) : plain };
}

function toAgreement(values: readonly number[], replicates: readonly Float64Array[], k: number): Agreement {
  const interval = (name: (typeof STATISTICS)[number]): Interval => {
    const index = STATISTICS.indexOf(name);
    return percentileInterval(values[index] as number, replicates[index] as Float64Array);
  };
  return {
    pearson: interval("pearson"),
    spearman: interval("spearman"),
    kendall: interval("kendall"),
    sign_agreement: interval("sign_agreement"),
    slope: interval("slope"),
    intercept: interval("intercept"),
    top_k_overlap: { k, ...interval("top_k_overlap") },
  };
}
