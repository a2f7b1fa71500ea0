/** @file True effects and scores of some nodes on some prompts, in memory: what `truth.parquet` and the statistics are made of. */
import { must } from "../../base/assert.js";
import type { PromptMatrix } from "../../stats/clusters.js";
import type { ListedNode } from "./node-table.js";

/** Matrices are `[P, N]`, prompt-major: P evaluated prompts of the plan, N listed nodes; or some of each. */
export interface TruthTable {
  readonly nodes: readonly ListedNode[];
  readonly prompts: number;
  /** Metric of the unpatched runs, `[P]`. */
  readonly metricClean: Float64Array;
  readonly metricCorrupted: Float64Array;
  readonly metricPatched: Float64Array;
  /** 1 where the prompt has the node's position, and its truth and all its scores were computed. */
  readonly present: Uint8Array;
  /** 1 where a forward pass gave the patched metric; 0 where the effect is exactly 0 without one. */
  readonly ran: Uint8Array;
  /** Scores by name, `[P, N]`. */
  readonly scores: ReadonlyMap<string, Float64Array>;
}

/** True effect of node `n` on prompt `p`. */
export function effectAt({ nodes, metricClean, metricPatched }: TruthTable, p: number, n: number): number {
  return must(metricPatched[p * nodes.length + n], "patched metric") - must(metricClean[p], "clean metric");
}

/** Effects of all nodes. */
export function effectMatrix(table: TruthTable): PromptMatrix {
  const { nodes, prompts, metricClean, metricPatched, present } = table;
  const values = new Float64Array(metricPatched.length);
  for (let p = 0, at = 0; p < prompts; p++) {
    const clean = metricClean[p] as number;
    for (let n = 0; n < nodes.length; n++, at++)
      if (present[at] === 1) values[at] = (metricPatched[at] as number) - clean;
  }
  return { prompts, nodes: nodes.length, values, present: maskOf(present) };
}

/** Scores of all nodes by one name. */
export function scoreMatrix({ nodes, prompts, scores, present }: TruthTable, name: string): PromptMatrix {
  return { prompts, nodes: nodes.length, values: must(scores.get(name), name), present: maskOf(present) };
}

/** Effects, then each score. */
export function matricesOf(table: TruthTable): PromptMatrix[] {
  return [effectMatrix(table), ...[...table.scores.keys()].map((name) => scoreMatrix(table, name))];
}

function maskOf(present: Uint8Array): Uint8Array | null {
  return present.includes(0) ? present : null;
}
