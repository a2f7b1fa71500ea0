/** @file The rows of truth.parquet as matrices of prompts by nodes, and their means over bootstrap samples of the prompts' clusters. */
import { type Node, nodeKey } from "../nodes/node.js";
import { nodeOfRow } from "../nodes/node-columns.js";
import type { ParquetRow } from "../artifacts/parquet.js";
import { RESAMPLES, resampleClusters } from "../stats/bootstrap.js";
import { clusterMeans, clusterSums, type Clusters, type PromptMatrix } from "../stats/clusters.js";
import { resampledMeans } from "../stats/resampled-means.js";

const SEED = 0;

/** What a score is compared with. */
export const EFFECT = "effect";

/** Nodes, and their true effects and scores. */
export interface TruthMatrices {
  readonly nodes: readonly Node[];
  readonly scores: readonly string[];
  /** By name of a score, and {@link EFFECT}; `[P, N]`. */
  readonly matrices: ReadonlyMap<string, PromptMatrix>;
  /** First position at which a patch can change anything. */
  readonly firstPatched: number;
  /** Names of the nodes' positions, where rows have spans. */
  readonly spans?: readonly string[] | undefined;
}

/** Means over prompts by name, `[N]` each. */
export type MeansByName = ReadonlyMap<string, Float64Array>;

/** The means over all prompts, and over each of the resamples. */
export interface BootstrappedMeans {
  readonly estimate: MeansByName;
  readonly draws: readonly MeansByName[];
  /** Number of clusters that were drawn. */
  readonly clusters: number;
}

/**
 * Nodes come in the order of their first rows.
 * @param rows - of truth.parquet, of one kind of node.
 * @param prompts - number of prompts of the plan.
 * @param scores - names of the score columns.
 */
export function truthMatrices(
  rows: readonly ParquetRow[],
  prompts: number,
  scores: readonly string[],
): Omit<TruthMatrices, "firstPatched"> {
  const nodes = new Map<string, { readonly node: Node; readonly rows: ParquetRow[] }>();
  for (const row of rows) {
    const node = nodeOfRow(row);
    const key = nodeKey(node);
    const known = nodes.get(key) ?? { node, rows: [] };
    known.rows[Number(row["prompt"])] = row;
    nodes.set(key, known);
  }
  const list = [...nodes.values()];
  const rowAt = (i: number): ParquetRow | undefined => list[i % list.length]?.rows[Math.floor(i / list.length)];
  const size = { length: prompts * list.length };
  const present = Uint8Array.from(size, (_, i) => (rowAt(i) === undefined ? 0 : 1));
  const matrixOf = (column: string): PromptMatrix => ({
    prompts,
    nodes: list.length,
    values: Float64Array.from(size, (_, i) => Number(rowAt(i)?.[column] ?? 0)),
    present: present.includes(0) ? present : null,
  });
  const matrices = new Map([EFFECT, ...scores].map((name) => [name, matrixOf(name)]));
  return { nodes: list.map(({ node }) => node), scores, matrices };
}

/** The resamples are the same for every run of as many clusters, whatever its seed: tables of several runs are paired. */
export function bootstrapMeans({ matrices }: Pick<TruthMatrices, "matrices">, clusters: Clusters): BootstrappedMeans {
  const { count, times } = resampleClusters(clusters, RESAMPLES, SEED);
  const sums = [...matrices].map(([name, matrix]) => [name, clusterSums(matrix, clusters)] as const);
  const estimate = new Map(sums.map(([name, own]) => [name, clusterMeans(own, null)]));
  const drawn = sums.map(([name, own]) => [name, own.nodes, resampledMeans(own, times)] as const);
  const draws = Array.from({ length: count }, (_, index): MeansByName => {
    return new Map(drawn.map(([name, nodes, means]) => [name, means.subarray(index * nodes, (index + 1) * nodes)]));
  });
  return { estimate, draws, clusters: clusters.count };
}
