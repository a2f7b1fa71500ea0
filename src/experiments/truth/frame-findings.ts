/** @file What a sample of nodes says stratum by stratum, and of the nodes that were not measured. */
import { must } from "../../base/assert.js";
import { groupIndexes } from "../../stats/clusters.js";
import { pearson, relativeError, signAgreement, spearman, leastSquares } from "../../stats/correlation.js";
import { exceedingShare, type SampledStratum } from "../../stats/exceedance.js";
import type { ListedNode } from "./node-table.js";

/** Plain statistics of the measured nodes of one stratum; null where undefined. */
export interface StratumAgreement {
  readonly stratum: ListedNode["stratum"];
  readonly n: number;
  readonly frame_size: number;
  readonly pearson: number | null;
  readonly spearman: number | null;
  readonly sign_agreement: number | null;
  readonly slope: number | null;
  readonly off: number | null;
}

/** What the random part of a sample says of the nodes that were not measured. */
export interface Unmeasured {
  readonly stratum: ListedNode["stratum"];
  /** Measured nodes of the stratum, and nodes of the frame in it. */
  readonly n: number;
  readonly frame_size: number;
  /** The size that is asked for: of the measured effects, the tenth largest. */
  readonly size: number;
  /** Measured nodes whose mean effect is larger. */
  readonly exceeding: number;
  /** At most this share of the stratum's nodes is larger, at 95 % confidence. */
  readonly at_most: number;
}

/** A listed node with its means over prompts. */
export interface MeasuredNode {
  readonly node: ListedNode;
  readonly score: number;
  readonly effect: number;
}

/** The size of effect that unmeasured nodes are asked for is that of this rank. */
const RANK = 10;

/** Pairs some nodes with their means, `[N]` each. */
export function measuredNodes(
  nodes: readonly ListedNode[],
  members: readonly number[],
  { effects, scores }: { readonly effects: Float64Array; readonly scores: Float64Array },
): MeasuredNode[] {
  return members.map((i) => ({
    node: must(nodes[i], "node"),
    score: must(scores[i], "score"),
    effect: must(effects[i], "effect"),
  }));
}

/** Plain statistics by stratum, over all layers of a group; none where the group has one stratum. */
export function strataOf(measured: readonly MeasuredNode[]): StratumAgreement[] {
  const groups = groupIndexes(measured.map(({ node }) => node.stratum));
  if (groups.size < 2) return [];
  return [...groups].map(([stratum, indexes]) => {
    const own = indexes.map((i) => must(measured[i], "node"));
    const score = Float64Array.from(own, (one) => one.score);
    const effect = Float64Array.from(own, (one) => one.effect);
    return {
      stratum,
      n: own.length,
      frame_size: frameSize(own),
      pearson: defined(pearson(score, effect)),
      spearman: defined(spearman(score, effect)),
      sign_agreement: defined(signAgreement(score, effect)),
      slope: defined(leastSquares(score, effect).slope),
      off: defined(relativeError(score, effect)),
    };
  });
}

/** Bounds for each stratum of which some nodes were not measured; none with fewer than ten measured effects. */
export function unmeasuredOf(measured: readonly MeasuredNode[]): Unmeasured[] {
  const sizes = measured.map(({ effect }) => Math.abs(effect)).sort((a, b) => b - a);
  const size = sizes[RANK - 1];
  if (size === undefined) return [];
  const sampled = measured.filter(({ node }) => node.inclusionProbability < 1);
  return [...groupIndexes(sampled.map(({ node }) => node.stratum))].map(([stratum, indexes]) => {
    const own = indexes.map((i) => must(sampled[i], "node"));
    const layers = groupIndexes(own.map(({ node }) => `${node.layer} ${node.inclusionProbability}`));
    const strata = [...layers.values()].map((members): SampledStratum => {
      const drawn = members.map((i) => must(own[i], "node"));
      return { size: frameSize(drawn), drawn: drawn.length };
    });
    const exceeding = own.filter(({ effect }) => Math.abs(effect) > size).length;
    return {
      stratum,
      n: own.length,
      frame_size: frameSize(own),
      size,
      exceeding,
      at_most: exceedingShare(strata, exceeding),
    };
  });
}

function frameSize(measured: readonly MeasuredNode[]): number {
  return measured.reduce((sum, { node }) => sum + 1 / node.inclusionProbability, 0);
}

function defined(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
