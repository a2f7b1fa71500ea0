/** @file Sets that were patched all at once, beside their nodes patched one by one. */
import { type JointSet, readJoint } from "../../artifacts/joint-file.js";
import { decodeParquet } from "../../artifacts/parquet.js";
import { must } from "../../base/assert.js";
import { type Node, nodeAt, nodeKey, parseNodeHook } from "../../nodes/node.js";
import { evaluatedPrompts } from "../../plan/held-out.js";
import { nodeListOf } from "../../plan/node-list.js";
import type { Plan } from "../../plan/plan.js";
import type { ReadArtifact } from "../../run/artifacts.js";
import { clusterMean, promptClusters } from "../../stats/clusters.js";
import { effectAt, type TruthTable } from "./truth-table.js";

/** A set with the rows of its measured nodes in the table; null where some node was not measured. */
export interface JointPatch extends JointSet {
  readonly members: readonly number[] | null;
}

/** The sets of a plan in order; none where it patches none at once. */
export async function jointPatches(plan: Plan, nodes: TruthTable["nodes"], read: ReadArtifact): Promise<JointPatch[]> {
  if (nodeListOf(plan.sweep)?.joint === undefined) return [];
  const sets = await readJoint(
    read,
    plan.sweep.scores.map(({ name }) => name),
  );
  const rowOf = new Map(nodes.map((node, n) => [nodeKey(node), n]));
  // A set of more nodes than were measured has some that were not.
  const few = new Set(sets.filter(({ size }) => size <= nodes.length).map(({ list }) => list));
  const nodesOf = few.size === 0 ? new Map<number, Node[]>() : await setNodes(read, few);
  return sets.map((set) => {
    const rows = few.has(set.list)
      ? (nodesOf.get(set.list) ?? []).map((node) => rowOf.get(nodeKey(node)))
      : [undefined];
    const members = rows.filter((row) => row !== undefined);
    return { ...set, members: members.length === rows.length ? members : null };
  });
}

/** Nodes of some lists of `sets.parquet`. */
async function setNodes(read: ReadArtifact, lists: ReadonlySet<number>): Promise<Map<number, Node[]>> {
  const columns = ["list", "hook", "position", "index", "count"];
  const { rows } = await decodeParquet(await read("sets.parquet"), columns);
  const found = new Map<number, Node[]>();
  for (const row of rows) {
    const list = Number(row["list"]);
    if (!lists.has(list)) continue;
    const own = found.get(list) ?? [];
    found.set(list, own);
    const { kind, ...at } = must(parseNodeHook(String(row["hook"])), "hook");
    const first = Number(row["index"]);
    for (let i = 0; i < Number(row["count"]); i++)
      own.push(nodeAt(kind, { ...at, position: Number(row["position"]) }, first + i));
  }
  return found;
}

/** What `validation.json` says of a set. */
export interface JointFinding {
  readonly set: string;
  /** Nodes. */
  readonly size: number;
  /** Prompts. */
  readonly n: number;
  readonly effect: number | null;
  /** By clusters of prompts. */
  readonly effect_sem: number | null;
  readonly normalised: number | null;
  /** The mean sum of the effects of its nodes patched one by one; null where some node was not measured. */
  readonly single_effects: number | null;
  readonly single_effects_sem: number | null;
  /** Sums of its nodes' mean scores. */
  readonly scores: Readonly<Record<string, number>>;
}

/**
 * Means over prompts of each set.
 * @param single - for each set, the summed effects of its nodes on each prompt, `[P]`: {@link sumsOfEffects}.
 */
export function jointFindings(
  plan: Plan,
  patches: readonly JointPatch[],
  single: readonly Float64Array[],
): JointFinding[] {
  const clusters = promptClusters(evaluatedPrompts(plan));
  return patches.map(({ set, size, rows, members, scores }, i) => {
    const of = rows.map(({ prompt }) => must(clusters.of[prompt], "cluster"));
    const meanOf = (value: (row: JointPatch["rows"][number]) => number): ReturnType<typeof clusterMean> =>
      clusterMean(rows.map(value), of);
    const effect = meanOf(({ metricPatched, metricClean }) => metricPatched - metricClean);
    const shift = meanOf(({ metricCorrupted, metricClean }) => metricCorrupted - metricClean);
    const summed = members === null ? null : meanOf(({ prompt }) => must(single[i]?.[prompt], "sum"));
    return {
      set,
      size,
      n: rows.length,
      effect: defined(effect.mean),
      effect_sem: defined(effect.sem),
      normalised: defined(effect.mean / shift.mean),
      single_effects: defined(summed?.mean),
      single_effects_sem: defined(summed?.sem),
      scores: Object.fromEntries(scores),
    };
  });
}

/** For each set, the sum of the effects of its measured nodes that a prompt has, by the table's prompts. */
export function sumsOfEffects(table: TruthTable, patches: readonly JointPatch[]): Float64Array[] {
  return patches.map(({ members }) =>
    Float64Array.from({ length: table.prompts }, (_, p) =>
      (members ?? []).reduce(
        (sum, n) => sum + (table.present[p * table.nodes.length + n] === 1 ? effectAt(table, p, n) : 0),
        0,
      ),
    ),
  );
}

function defined(value: number | undefined): number | null {
  return value === undefined || !Number.isFinite(value) ? null : value;
}
