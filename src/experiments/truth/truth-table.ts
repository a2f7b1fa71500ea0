/** @file All true effects and scores of the listed nodes, per prompt, in memory: what `truth.parquet` and the statistics are made of. */
import { must } from "../../base/assert.js";
import { KINDS, NODE_KINDS } from "../../nodes/kinds.js";
import { GLOBAL_POSITION, hookOf, indexOf, type Node, nodeHookAt, nodeInPrompt } from "../../nodes/node.js";
import { truthDonorOf } from "../../plan/node-list.js";
import { sizesAt } from "../../plan/node-places.js";
import { spansOf } from "../../plan/span-positions.js";
import type { ReadArtifact } from "../../run/artifacts.js";
import type { Plan, Shard } from "../../plan/plan.js";
import { lengthOf } from "../../artifacts/position-counts.js";
import { forEachRecord, quarantinedIn, type RecordSource, stageOf } from "../../artifacts/stage-records.js";
import { type ScoresResult, type SparseRows, decodeScores } from "../../artifacts/scores-payload.js";
import { evaluatedPrompts, promptUse } from "../../plan/held-out.js";
import { decodeTruth } from "./payload.js";
import { type ListedNode, readNodes } from "./node-table.js";
import { truthTask } from "./task.js";
import { endsAsCorrupted } from "./truth-rows.js";

/** Matrices are `[P, N]`, prompt-major: P evaluated prompts of the plan, N listed nodes. */
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

/** Reads the truth stages and every score. */
export async function readTruthTable(source: RecordSource, read: ReadArtifact): Promise<TruthTable> {
  const { plan } = source;
  const nodes = await readNodes(read);
  const prompts = evaluatedPrompts(plan).length;
  const size = prompts * nodes.length;
  const table = {
    nodes,
    prompts,
    metricClean: new Float64Array(prompts).fill(Number.NaN),
    metricCorrupted: new Float64Array(prompts).fill(Number.NaN),
    metricPatched: new Float64Array(size).fill(Number.NaN),
    present: new Uint8Array(size),
    ran: new Uint8Array(size),
    scores: new Map<string, Float64Array>(),
  };
  for (const { id, task } of plan.stages) {
    if (truthTask(task)?.floor !== false) continue;
    await forEachRecord(source, id, (shard, payload) => {
      addTruth(plan, table, shard, payload);
    });
  }
  let lookup: { readonly length: number; readonly rows: NodeLookup } | undefined;
  for (const { name } of plan.sweep.scores) {
    const values = new Float64Array(size);
    await forEachRecord(source, `scores-${name}`, (shard, payload) => {
      const first = must(shard.prompts[0], "first prompt");
      if (promptUse(plan, first) === "select") return;
      const length = lengthOf(plan, first);
      if (lookup?.length !== length) lookup = { length, rows: nodeLookup(plan, nodes, length) };
      addScores(shard, decodeScores(payload), lookup.rows, nodes.length, values);
    });
    table.scores.set(name, values);
    hidePrompts(
      table,
      missingOf(source, `scores-${name}`).filter((prompt) => prompt < prompts),
    );
  }
  return table;
}

/** Prompts of the stage's quarantined shards. */
function missingOf({ plan, quarantined }: RecordSource, stageId: string): number[] {
  return quarantinedIn(stageOf(plan, stageId), quarantined).flatMap((shard) => shard.prompts);
}

/** Leaves prompts out: one without a score must not count as a score of 0. */
function hidePrompts({ nodes, present }: TruthTable, prompts: readonly number[]): void {
  for (const prompt of prompts) present.fill(0, prompt * nodes.length, (prompt + 1) * nodes.length);
}

/** True effect of node `n` on prompt `p`. */
export function effectAt({ nodes, metricClean, metricPatched }: TruthTable, p: number, n: number): number {
  return must(metricPatched[p * nodes.length + n], "patched metric") - must(metricClean[p], "clean metric");
}

/** The rows of the list whose slots a record holds, where in the record each stands, and how many slots it has. */
export function listedSlots(
  shard: Shard,
  nodes: readonly ListedNode[],
): { readonly start: number; readonly end: number; readonly width: number; readonly column: (n: number) => number } {
  const [first, last] = must(shard.slots, "slots");
  const [start, end] = [rowOfSlot(nodes, first), rowOfSlot(nodes, last)];
  return { start, end, width: last - first, column: (n) => must(nodes[n], "node").slot - first };
}

/** The first row whose slot is at least this one; rows are in the order of slots. */
function rowOfSlot(nodes: readonly ListedNode[], slot: number): number {
  let [low, high] = [0, nodes.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (must(nodes[middle], "node").slot < slot) low = middle + 1;
    else high = middle;
  }
  return low;
}

function addTruth(plan: Plan, table: TruthTable, shard: Shard, payload: Uint8Array): void {
  const { start, end, width, column } = listedSlots(shard, table.nodes);
  if (start >= end) return;
  const { metricClean, metricCorrupted, metricPatched, ran } = decodeTruth(payload);
  shard.prompts.forEach((prompt, row) => {
    table.metricClean[prompt] = must(metricClean[row], "metric");
    table.metricCorrupted[prompt] = must(metricCorrupted[row], "metric");
    const length = lengthOf(plan, prompt);
    for (let n = start; n < end; n++) {
      const node = must(table.nodes[n], "node");
      if (nodeInPrompt(node, length) === undefined) continue;
      const [cell, recorded] = [prompt * table.nodes.length + n, row * width + column(n)];
      table.metricPatched[cell] = must(metricPatched[recorded], "patched metric");
      table.present[cell] = 1;
      // The corrupted run is the forward pass of such a node, and has run for all of them.
      table.ran[cell] = endsAsCorrupted(node, truthDonorOf(plan.sweep), spansOf(plan.sweep) !== undefined)
        ? 1
        : must(ran[recorded], "ran");
    }
  });
}

/** For each score array, the rows of the node list that read each of its indexes. */
type NodeLookup = ReadonlyMap<string, ReadonlyMap<number, readonly number[]>>;

/**
 * For each node hook, the index into the score array of a prompt of `length` tokens, `position * nodes at a position + index`, of the rows
 * that read it.
 */
function nodeLookup(plan: Plan, nodes: readonly ListedNode[], length: number): NodeLookup {
  const lookup = new Map<string, Map<number, number[]>>();
  nodes.forEach((listed, n) => {
    const node = nodeInPrompt(listed, length);
    if (node === undefined) return;
    const hook = hookOf(node);
    const rows = lookup.get(hook) ?? new Map<number, number[]>();
    lookup.set(hook, rows);
    const positions = node.position === GLOBAL_POSITION ? Array.from({ length }, (_, t) => t) : [node.position];
    for (const position of positions) {
      const index = scoreIndex(plan, node, position);
      const list = rows.get(index);
      if (list === undefined) rows.set(index, [n]);
      else list.push(n);
    }
  });
  return lookup;
}

function scoreIndex(plan: Plan, node: Node, position: number): number {
  const { index, perPosition } = KINDS[node.kind];
  return position * perPosition(sizesAt(plan, node)) + (index === null ? 0 : must(indexOf(node, index), index));
}

/** Adds each prompt's scores to the nodes that read them: a node at all positions at once gets the sum over positions. */
function addScores(
  shard: Shard,
  scores: ScoresResult,
  lookup: NodeLookup,
  nodeCount: number,
  values: Float64Array,
): void {
  const give = (hook: string, prompt: number, index: number, score: number): void => {
    for (const n of lookup.get(hook)?.get(index) ?? []) {
      const cell = prompt * nodeCount + n;
      values[cell] = must(values[cell], "score") + score;
    }
  };
  const giveSparse = (hook: string, rows: SparseRows): void => {
    shard.prompts.forEach((prompt, p) => {
      for (let i = must(rows.pointer[p], "pointer"); i < must(rows.pointer[p + 1], "pointer"); i++) {
        give(hook, prompt, must(rows.index[i], "index"), must(rows.value[i], "value"));
      }
    });
  };
  const giveDense = (hook: string, array: Float32Array): void => {
    const perPrompt = array.length / shard.prompts.length;
    array.forEach((score, i) => {
      give(hook, must(shard.prompts[Math.floor(i / perPrompt)], "prompt"), i % perPrompt, score);
    });
  };
  for (const kind of NODE_KINDS) {
    for (const [site, values] of scores[kind]) {
      const hook = nodeHookAt(site, kind);
      if (!lookup.has(hook)) continue;
      if (values instanceof Float32Array) giveDense(hook, values);
      else giveSparse(hook, values);
    }
  }
}
