/**
 * @file What the validation computes in threads: all that single nodes say, range by range, and the replicates of families, draw by draw.
 * Each number comes from one thread, in the same order of additions whichever thread it is.
 */
import { must } from "../../base/assert.js";
import { asFloats, type MatrixShape, openMatrix } from "../../artifacts/disk-matrix.js";
import { type RowGroupBytes, rowGroupEncoder } from "../../artifacts/parquet.js";
import type { TruthDonor } from "../../plan/node-list.js";
import { clusterMeans, clusterSums, type Clusters } from "../../stats/clusters.js";
import { likenessOfLargest, type NodeLikeness, type SplitHalves } from "../../stats/reliability.js";
import { resampledMeans, resampledMeansOf } from "../../stats/resampled-means.js";
import { type FamilyGroups, familyMeans, type Replicates, replicateGroups } from "../../stats/validation.js";
import { nodeRowGroups } from "./truth-row-groups.js";
import { type NodeMeanColumns, nodeMeanColumns } from "./truth-artifact.js";
import { openStore, type StoreShape } from "./truth-store.js";
import { effectMatrix, scoreMatrix, type TruthTable } from "./truth-table.js";

/** What every task reads. */
export interface TruthShared {
  readonly store: StoreShape;
  readonly donor: TruthDonor;
  readonly draws: Draws;
  /** Rows of the node list of each family. */
  readonly families: readonly (readonly number[])[];
  /** Where means in resamples go, `[resamples, N]`: effects, then each score. */
  readonly resampled: readonly MatrixShape[];
  /** Where mean effects in halves go, `[2 splits, N]`. */
  readonly inHalves: MatrixShape;
}

/** Resamples and halves of the clusters of prompts. */
export interface Draws {
  readonly clusters: Clusters;
  /** Number of resamples. */
  readonly count: number;
  /** How often each resample holds each cluster, `[count, C]`. */
  readonly times: Uint32Array;
  readonly halves: SplitHalves;
}

/** A range of nodes, or some draws of a family. */
export type TruthTask =
  | { readonly kind: "range"; readonly range: number }
  | {
      readonly kind: "draws";
      readonly members: readonly number[];
      readonly family: FamilyGroups;
      readonly draws: readonly [from: number, to: number];
    };

/** What a task gives. */
export type TruthAnswer =
  | { readonly kind: "range"; readonly nodes: NodeFindings; readonly groups: readonly RowGroupBytes[] }
  | { readonly kind: "draws"; readonly replicates: Replicates };

/** What some nodes say, each by itself. */
export interface NodeFindings {
  /** Means over prompts, by clusters: effects, then each score, `[N]`. */
  readonly estimate: readonly Float64Array[];
  readonly columns: NodeMeanColumns;
  /** How alike the effects of its largest nodes are, by family. */
  readonly likeness: readonly (readonly NodeLikeness[])[];
}

/** Opens what tasks read. */
export function openTasks(shared: TruthShared): (task: TruthTask) => TruthAnswer {
  const store = openStore(shared.store);
  const encode = rowGroupEncoder();
  const resampled = shared.resampled.map((shape) => openMatrix(shape));
  const halves = openMatrix(shared.inHalves);
  const { width } = shared.store.patched;
  return (task) => {
    if (task.kind === "draws") {
      const [from, to] = task.draws;
      const means = resampled.map((matrix) => pickColumns(asFloats(matrix.readRows(from, to - from)), matrix.columns, task.members)); // prettier-ignore
      return { kind: "draws", replicates: replicateGroups(task.family, familyMeans(means), task.draws) };
    }
    const first = task.range * width;
    const table = store.range(task.range);
    const columns = [first, first + table.nodes.length] as const;
    const within = shared.families.map((members) => members.filter((n) => n >= first && n < columns[1]).map((n) => n - first)); // prettier-ignore
    const nodes = nodeFindings(table, within, shared.draws, {
      resampled: (index, means) => resampled[index]?.writeRows(0, means, columns),
      inHalves: (means) => {
        halves.writeRows(0, means, columns);
      },
    });
    const groups: RowGroupBytes[] = [];
    for (const group of nodeRowGroups(table, shared.donor)) if (group.rows > 0) groups.push(encode(group));
    return { kind: "range", nodes, groups };
  };
}

/** Where means in draws go. */
export interface DrawnMeans {
  /** Means in resamples, `[resamples, N]`: of effects (0), or of a score. */
  readonly resampled: (index: number, means: Float64Array) => void;
  /** Mean effects in halves, `[2 splits, N]`. */
  readonly inHalves: (means: Float64Array) => void;
}

/** All that a table's nodes say, each by itself. @param families - members of each, as nodes of the table. */
export function nodeFindings(
  table: TruthTable,
  families: readonly (readonly number[])[],
  { clusters, times, halves }: Draws,
  take: DrawnMeans,
): NodeFindings {
  const effects = effectMatrix(table);
  const columns = nodeMeanColumns(table, effects, clusters);
  const scores = [...table.scores.keys()].map((name) => scoreMatrix(table, name));
  const sums = [effects, ...scores].map((matrix) => clusterSums(matrix, clusters));
  const [ofEffects, estimate] = [must(sums[0], "effects"), sums.map((own) => clusterMeans(own, null))];
  const means = must(estimate[0], "effects");
  resampledMeansOf(sums, times).forEach((drawn, index) => {
    take.resampled(index, drawn);
  });
  take.inHalves(resampledMeans(ofEffects, halves.times));
  const likeness = families.map((members) => {
    const own = new Float64Array(means.length).fill(Number.NaN);
    for (const n of members) own[n] = means[n] as number;
    return likenessOfLargest(effects, clusters, own);
  });
  return { estimate, columns, likeness };
}

/** Some columns of a matrix, `[rows, members]`. */
export function pickColumns(values: Float64Array, columns: number, members: readonly number[]): Float64Array {
  const rows = columns === 0 ? 0 : values.length / columns;
  const picked = new Float64Array(rows * members.length);
  for (let row = 0, to = 0; row < rows; row++)
    for (let i = 0; i < members.length; i++, to++)
      picked[to] = values[row * columns + (members[i] as number)] as number;
  return picked;
}
