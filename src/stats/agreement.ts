/** @file The statistics that compare scores with true effects, over node means: their names, and all of them at once. */
import {
  isConstant,
  leastSquares,
  pearson,
  relativeError,
  signAgreement,
  sizeRatio,
  spearmanOfLevels,
} from "./correlation.js";
import { kendallOfLevels } from "./kendall.js";
import type { Levels } from "./rank.js";
import { topKOverlap } from "./top-k.js";

/** Nodes in each of the two lists that top-k overlap compares. Groups of as many nodes or fewer have none: it would be 1. */
export const TOP_K = 10;

/** The statistics, in the spelling of validation.json, in the order of {@link compareMeans}. */
export const STATISTICS = [
  "pearson",
  "spearman",
  "kendall",
  "sign_agreement",
  "sign_agreement_by_effect",
  "slope",
  "intercept",
  "size_ratio",
  "off",
  "top_k_overlap",
] as const;

/** The name of a statistic. */
export type Statistic = (typeof STATISTICS)[number];

const CORRELATION = [-1, 1] as const;
const SHARE = [0, 1] as const;
const SIZE = [0, Infinity] as const;
const ANY = [-Infinity, Infinity] as const;

/** The least and the largest value that each can take. */
export const RANGES: Readonly<Record<Statistic, readonly [number, number]>> = {
  pearson: CORRELATION,
  spearman: CORRELATION,
  kendall: CORRELATION,
  sign_agreement: SHARE,
  sign_agreement_by_effect: SHARE,
  slope: ANY,
  intercept: ANY,
  size_ratio: SIZE,
  off: SIZE,
  top_k_overlap: SHARE,
};

/** Mean scores and mean effects of some nodes, `[n]` each, with the levels that rank statistics share. */
export interface NodeMeans {
  readonly score: Float64Array;
  readonly effect: Float64Array;
  readonly scoreLevels: Levels;
  readonly effectLevels: Levels;
}

/**
 * All statistics in the order of {@link STATISTICS}; NaN where undefined.
 * @param w - how many nodes of the frame each stands for, `[n]`; null counts all alike.
 */
export function compareMeans(
  { score, effect, scoreLevels, effectLevels }: NodeMeans,
  w: Float64Array | null,
): number[] {
  const { slope, intercept } = leastSquares(score, effect, w);
  const isFlat = isConstant(score) || isConstant(effect);
  return [
    pearson(score, effect, w),
    isFlat ? Number.NaN : spearmanOfLevels(scoreLevels, effectLevels, w),
    isFlat ? Number.NaN : kendallOfLevels(scoreLevels, effectLevels, w),
    signAgreement(score, effect, w),
    signAgreement(score, effect, byEffect(effect, w)),
    slope,
    intercept,
    sizeRatio(score, effect, w),
    relativeError(score, effect, w),
    score.length > TOP_K ? topKOverlap(score, effect, TOP_K, w) : Number.NaN,
  ];
}

/** Weights times |effect|. */
function byEffect(effect: Float64Array, w: Float64Array | null): Float64Array {
  const weights = new Float64Array(effect.length);
  for (let i = 0; i < weights.length; i++)
    weights[i] = Math.abs(effect[i] as number) * (w === null ? 1 : (w[i] as number));
  return weights;
}
