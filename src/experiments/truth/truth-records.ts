/**
 * @file Brings the records of true effects and scores into a store: each record is read once, in the order of the plan, and one at a time is
 * in memory.
 */
import { must } from "../../base/assert.js";
import { KINDS, NODE_KINDS } from "../../nodes/kinds.js";
import { GLOBAL_POSITION, hookOf, indexOf, type Node, nodeHookAt, nodeInPrompt } from "../../nodes/node.js";
import { truthDonorOf } from "../../plan/node-list.js";
import { sizesAt } from "../../plan/node-places.js";
import { spansOf } from "../../plan/span-positions.js";
import type { Plan, Shard } from "../../plan/plan.js";
import { evaluatedPrompts, promptUse } from "../../plan/held-out.js";
import { type DiskMatrix, openMatrix } from "../../artifacts/disk-matrix.js";
import { lengthOf } from "../../artifacts/position-counts.js";
import { forEachRecord, quarantinedIn, type RecordSource, stageOf } from "../../artifacts/stage-records.js";
import { type ScoresResult, type SparseRows, decodeScores } from "../../artifacts/scores-payload.js";
import { listedSlots } from "./listed-slots.js";
import type { ListedNode } from "./node-table.js";
import { decodeTruth } from "./payload.js";
import { truthTask } from "./task.js";
import { endsAsCorrupted } from "./truth-rows.js";
import { emptyStore, nodesPerRange, PRESENT, RAN, type StoreShape } from "./truth-store.js";

/**
 * Reads the truth stages and every score.
 * @param folder - an empty one for the store.
 * @param rangeBytes - see {@link nodesPerRange}.
 */
export async function storeRecords(
  source: RecordSource,
  nodes: readonly ListedNode[],
  { folder, rangeBytes }: { readonly folder: string; readonly rangeBytes?: number | undefined },
): Promise<StoreShape> {
  const { plan } = source;
  const prompts = evaluatedPrompts(plan).length;
  const scores = plan.sweep.scores.map(({ name }) => name);
  const width = nodesPerRange(prompts, scores.length, rangeBytes);
  const store = emptyStore(folder, nodes, { prompts, scores, width });
  await storeTruth(source, store);
  for (const [name, shape] of store.scores) {
    const matrix = openMatrix(shape, true);
    await storeScores(source, store, name, matrix);
    matrix.close();
    for (const prompt of missingOf(source, `scores-${name}`)) if (prompt < prompts) store.hidden[prompt] = 1;
  }
  return store;
}

/** Prompts of the stage's quarantined shards. */
function missingOf({ plan, quarantined }: RecordSource, stageId: string): number[] {
  return quarantinedIn(stageOf(plan, stageId), quarantined).flatMap((shard) => shard.prompts);
}

async function storeTruth(source: RecordSource, store: StoreShape): Promise<void> {
  const { plan } = source;
  const [patched, flags] = [openMatrix(store.patched, true), openMatrix(store.flags, true)];
  const there = nodesByLength(store.nodes);
  const corrupted = Uint8Array.from(store.nodes, (node) =>
    endsAsCorrupted(node, truthDonorOf(plan.sweep), spansOf(plan.sweep) !== undefined) ? 1 : 0,
  );
  let rows = 0;
  for (const { id, task } of plan.stages) {
    if (truthTask(task)?.floor !== false) continue;
    await forEachRecord(source, id, (shard, payload) => {
      const { start, end, width, column } = listedSlots(shard, store.nodes);
      if (start >= end) return;
      const columns = Int32Array.from({ length: end - start }, (_, i) => column(start + i));
      const { metricClean, metricCorrupted, metricPatched, ran } = decodeTruth(payload);
      const values = new Float64Array(shard.prompts.length * columns.length);
      const bits = new Uint8Array(values.length);
      shard.prompts.forEach((prompt, p) => {
        store.metricClean[prompt] = must(metricClean[p], "metric");
        store.metricCorrupted[prompt] = must(metricCorrupted[p], "metric");
        if (store.rowOf[prompt] === -1) store.rowOf[prompt] = rows++;
        const own = there(lengthOf(plan, prompt));
        for (let i = 0, at = p * columns.length; i < columns.length; i++, at++) {
          if (own[start + i] === 0) continue;
          const from = p * width + (columns[i] as number);
          values[at] = metricPatched[from] as number;
          // The corrupted run is the forward pass of such a node, and has run for all of them.
          bits[at] = PRESENT | (corrupted[start + i] === 1 || ran[from] === 1 ? RAN : 0);
        }
      });
      const place = { prompts: shard.prompts, columns: [start, end] } as const;
      writePrompts(patched, store, values, place);
      writePrompts(flags, store, bits, place);
    });
  }
  for (let prompt = 0; prompt < store.prompts; prompt++) if (store.rowOf[prompt] === -1) store.rowOf[prompt] = rows++;
  for (const matrix of [patched, flags]) matrix.close();
}

/** For prompts of some length, 1 for each node that they have, `[N]`. */
function nodesByLength(nodes: readonly ListedNode[]): (length: number) => Uint8Array {
  const known = new Map<number, Uint8Array>();
  return (length) => {
    const found =
      known.get(length) ?? Uint8Array.from(nodes, (node) => (nodeInPrompt(node, length) === undefined ? 0 : 1));
    known.set(length, found);
    return found;
  };
}

/** Writes values of a shard's prompts, `[prompts, end - start]`, in as few pieces as the store's order allows. */
function writePrompts(
  matrix: DiskMatrix,
  { rowOf }: StoreShape,
  values: Float64Array | Uint8Array,
  {
    prompts,
    columns,
  }: { readonly prompts: readonly number[]; readonly columns: readonly [start: number, end: number] },
): void {
  const width = columns[1] - columns[0];
  for (let first = 0; first < prompts.length;) {
    const row = must(rowOf[must(prompts[first], "prompt")], "row");
    let end = first + 1;
    while (end < prompts.length && rowOf[must(prompts[end], "prompt")] === row + end - first) end++;
    matrix.writeRows(row, values.subarray(first * width, end * width), columns);
    first = end;
  }
}

async function storeScores(source: RecordSource, store: StoreShape, name: string, matrix: DiskMatrix): Promise<void> {
  const { plan } = source;
  const { nodes } = store;
  const lookups = new Map<number, NodeLookup>();
  await forEachRecord(source, `scores-${name}`, (shard, payload) => {
    const first = must(shard.prompts[0], "first prompt");
    if (promptUse(plan, first) === "select") return;
    const length = lengthOf(plan, first);
    const lookup = lookups.get(length) ?? nodeLookup(plan, nodes, length);
    lookups.set(length, lookup);
    const values = new Float64Array(shard.prompts.length * nodes.length);
    addScores(shard, decodeScores(payload), lookup, values);
    writePrompts(matrix, store, values, { prompts: shard.prompts, columns: [0, nodes.length] });
  });
}

/** For each node hook, who reads which index of the score array of a prompt: `position * nodes at a position + index`. */
type NodeLookup = ReadonlyMap<string, HookLookup>;

interface HookLookup {
  /** A bit for each index, which is set where some node reads it: most of a record's scores are of nodes that are not listed. */
  readonly bits: Uint8Array;
  /** The rows of the node list that read an index. */
  readonly rows: Map<number, number[]>;
}

/** Lookups for prompts of `length` tokens. */
function nodeLookup(plan: Plan, nodes: readonly ListedNode[], length: number): NodeLookup {
  const lookup = new Map<string, HookLookup>();
  nodes.forEach((listed, n) => {
    const node = nodeInPrompt(listed, length);
    if (node === undefined) return;
    const hook = hookOf(node);
    const size = length * KINDS[node.kind].perPosition(sizesAt(plan, node));
    const found: HookLookup = lookup.get(hook) ?? { bits: new Uint8Array(Math.ceil(size / 8)), rows: new Map() };
    lookup.set(hook, found);
    const { bits, rows } = found;
    const positions = node.position === GLOBAL_POSITION ? Array.from({ length }, (_, t) => t) : [node.position];
    for (const position of positions) {
      const index = scoreIndex(plan, node, position);
      bits[index >> 3] = (bits[index >> 3] as number) | (1 << (index & 7));
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

/** Adds each prompt's scores to the nodes that read them, `[prompts, N]`: a node at all positions at once gets the sum over positions. */
function addScores(shard: Shard, scores: ScoresResult, lookup: NodeLookup, values: Float64Array): void {
  const nodeCount = values.length / shard.prompts.length;
  const give = (rows: readonly number[], p: number, score: number): void => {
    for (const n of rows) values[p * nodeCount + n] = (values[p * nodeCount + n] as number) + score;
  };
  const giveSparse = ({ bits, rows: readers }: HookLookup, { pointer, index, value }: SparseRows): void => {
    for (let p = 0; p < shard.prompts.length; p++) {
      for (let i = pointer[p] as number; i < (pointer[p + 1] as number); i++) {
        const at = index[i] as number;
        if ((((bits[at >> 3] as number) >> (at & 7)) & 1) === 1) give(must(readers.get(at), "node"), p, value[i] as number); // prettier-ignore
      }
    }
  };
  const giveDense = ({ rows: readers }: HookLookup, array: Float32Array): void => {
    const perPrompt = array.length / shard.prompts.length;
    for (let i = 0; i < array.length; i++)
      give(readers.get(i % perPrompt) ?? [], Math.floor(i / perPrompt), array[i] as number);
  };
  for (const kind of NODE_KINDS) {
    for (const [site, array] of scores[kind]) {
      const found = lookup.get(nodeHookAt(site, kind));
      if (found === undefined) continue;
      if (array instanceof Float32Array) giveDense(found, array);
      else giveSparse(found, array);
    }
  }
}
