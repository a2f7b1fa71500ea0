/** @file The nodes of a family in the two runs of a comparison, and which of them enter it. */
import { must } from "../base/assert.js";
import { enteringMembers, effectsOf, scoresOf, type Family } from "../experiments/truth/validation-groups.js";
import type { TruthTable } from "../experiments/truth/truth-table.js";
import { clusterMeans, clusterSums, type Clusters, type PromptMatrix } from "../stats/clusters.js";

/** What is the same for all families and both runs. */
export interface PairedContext {
  readonly clusters: Clusters;
  /** First position at which any pair's prompts differ. */
  readonly first: number;
  readonly seed: number;
  /** Number of bootstrap resamples. */
  readonly resamples: number;
}

/** A family of nodes in both runs. */
export interface PairedFamily {
  readonly a: Family;
  readonly b: Family;
  /** Whether they are the same nodes, drawn with the same chances. */
  readonly isSame: boolean;
}

/** An estimator of the first run and one of the second, by name. */
export type ScorePair = readonly [first: string, second: string];

/** One run's part of a family, `[P, N]` each. */
export interface Side {
  readonly table: TruthTable;
  readonly family: Family;
  readonly truth: PromptMatrix;
  readonly scores: ReadonlyMap<string, PromptMatrix>;
}

/** Something of the first run, and of the second. */
export type Sides<T> = readonly [first: T, second: T];

/** Gathers it. */
export function sideOf(table: TruthTable, family: Family): Side {
  return { table, family, truth: effectsOf(table, family), scores: scoresOf(table, family) };
}

/**
 * Places in each side's list of members of those that enter.
 * @param isSame - whether both lists are of the same nodes: then those enter that enter in either run.
 */
export function enteringOf(sides: Sides<Side>, isSame: boolean, context: PairedContext): Sides<readonly number[]> {
  const together = isSame ? sides : null;
  const placesOf = (side: Side): number[] => {
    const own = side.family.members.map((n) => must(side.table.nodes[n], "node"));
    const matrices = (together ?? [side]).flatMap(({ truth, scores }) => [truth, ...scores.values()]);
    const means = matrices.map((matrix) => clusterMeans(clusterSums(matrix, context.clusters), null));
    const entering = enteringMembers(own, means, context.first);
    return own.flatMap((_, i) => (entering[i] === 1 ? [i] : []));
  };
  return [placesOf(sides[0]), placesOf(sides[1])];
}
