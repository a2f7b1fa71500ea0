/** @file The rows of `truth.parquet` in row groups of whole nodes: one row per node and prompt, then one per set that was patched at once and prompt. */
import { must } from "../../base/assert.js";
import { sha256 } from "../../base/hash.js";
import { INDEX_FIELDS } from "../../nodes/kinds.js";
import { hookOf } from "../../nodes/node.js";
import { globalColumn, indexColumn, positionColumn } from "../../nodes/node-columns.js";
import type { TruthDonor } from "../../plan/node-list.js";
import {
  type Column,
  type ColumnType,
  type LazyColumn,
  ROW_GROUP_ROWS,
  type RowGroup,
  rowGroupOf,
} from "../../artifacts/parquet.js";
import type { JointPatch } from "./joint.js";
import type { ListedNode } from "./node-table.js";
import { effectAt, type TruthTable } from "./truth-table.js";

/** What rows of sets that were patched at once have as their kind. */
export const SET_KIND = "set";

/** Nodes of a row group, at most: bounds the memory of writing where prompts are few. */
export const NODES_PER_GROUP = 500;

/** Nodes of a row group of so many prompts; of more prompts than a group has rows, one node makes several groups. */
export function nodesPerGroup(prompts: number): number {
  return Math.max(1, Math.min(NODES_PER_GROUP, Math.floor(ROW_GROUP_ROWS / Math.max(1, prompts))));
}

/** Row groups of the table's nodes; one without rows where it has no nodes. */
export function* nodeRowGroups(table: TruthTable, donor: TruthDonor): Generator<RowGroup> {
  const { nodes, prompts, present } = table;
  const step = nodesPerGroup(prompts);
  const patterns = nodes.map((_, n) => patternOf(table, n));
  for (let start = 0; start === 0 || start < nodes.length; start += step) {
    const end = Math.min(nodes.length, start + step);
    const cells = Math.max(0, end - start) * prompts;
    const [ns, ps] = [new Int32Array(cells), new Int32Array(cells)];
    let count = 0;
    for (let n = start; n < end; n++) {
      for (let p = 0; p < prompts; p++) {
        if (present[p * nodes.length + n] !== 1) continue;
        ns[count] = n;
        ps[count++] = p;
      }
    }
    const pattern = patterns.slice(start, end).join(" ");
    for (let from = 0; from === 0 || from < count; from += ROW_GROUP_ROWS) {
      const to = Math.min(count, from + ROW_GROUP_ROWS);
      yield cellGroup(table, donor, {
        ns: ns.subarray(from, to),
        ps: ps.subarray(from, to),
        key: `${pattern} ${from}`,
      });
    }
  }
}

/** A name of the prompts that have a node. */
function patternOf({ prompts, nodes, present }: TruthTable, n: number): string {
  const own = new Uint8Array(prompts);
  for (let p = 0; p < prompts; p++) own[p] = present[p * nodes.length + n] as number;
  return sha256(own);
}

/** Nodes and prompts of some cells, and a name of the prompts. */
interface Cells {
  readonly ns: Int32Array;
  readonly ps: Int32Array;
  readonly key: string;
}

/** The row group of some cells. Most of what it says of nodes and of prompts it has in common with others. */
function cellGroup(table: TruthTable, donor: TruthDonor, { ns, ps, key }: Cells): RowGroup {
  const { length } = table.nodes;
  const cells = ns.map((n, i) => (ps[i] as number) * length + n);
  const column = (of: string | null, { name, type }: ColumnOf, make: () => Column["values"]): LazyColumn => {
    return { name, key: of, make: () => ({ name, type, values: make() }) };
  };
  const float = (of: string | null, name: string, value: (i: number) => number): LazyColumn =>
    column(of, { name, type: "DOUBLE" }, () => {
      const values = new Float64Array(cells.length);
      for (let i = 0; i < values.length; i++) values[i] = value(i);
      return values;
    });
  const atPrompt = (values: Float64Array) => (i: number) => values[ps[i] as number] as number;
  const atCell = (values: Float64Array) => (i: number) => values[cells[i] as number] as number;
  const runs = runsOf(ns);
  const columns = [
    ...NODE_COLUMNS.map(({ read, ...as }) => {
      const values = runs.map(({ n }) => read(must(table.nodes[n], "node")));
      const named = JSON.stringify([values, runs.map(({ count }) => count)]);
      return column(named, as, () => repeated(as.type, values, runs));
    }),
    column(String(ns.length), { name: "donor", type: "STRING" }, () => new Array<string>(ns.length).fill(donor)),
    column(key, { name: "prompt", type: "INT32" }, () => ps),
    float(key, "metric_clean", atPrompt(table.metricClean)),
    float(key, "metric_corrupted", atPrompt(table.metricCorrupted)),
    float(null, "metric_patched", atCell(table.metricPatched)),
    float(null, "effect", (i) => effectAt(table, ps[i] as number, ns[i] as number)),
    column(null, { name: "ran", type: "BOOLEAN" }, () => Array.from(cells, (cell) => table.ran[cell] === 1)),
    ...[...table.scores].map(([name, values]) => float(null, name, atCell(values))),
  ];
  return { rows: ns.length, columns };
}

/** Rows of one node that follow one another. */
interface Run {
  readonly n: number;
  readonly count: number;
}

function runsOf(ns: Int32Array): Run[] {
  const runs: Run[] = [];
  for (let start = 0; start < ns.length;) {
    const n = ns[start] as number;
    let end = start;
    while (end < ns.length && ns[end] === n) end++;
    runs.push({ n, count: end - start });
    start = end;
  }
  return runs;
}

function repeated(type: ColumnType, values: readonly NodeValue[], runs: readonly Run[]): Column["values"] {
  const rows = runs.reduce((sum, { count }) => sum + count, 0);
  const all = type === "INT32" ? new Int32Array(rows) : new Array<NodeValue>(rows);
  let place = 0;
  runs.forEach(({ count }, i) => {
    (all as NodeValue[]).fill(values[i] as NodeValue, place, place + count);
    place += count;
  });
  return all as Column["values"];
}

/** A column's name and type. */
type ColumnOf = Pick<Column, "name" | "type">;
type NodeValue = string | number | boolean;

/** What tables say of nodes. */
const NODE_COLUMNS: readonly (ColumnOf & { readonly read: (node: ListedNode) => NodeValue })[] = [
  { name: "hook", type: "STRING", read: hookOf },
  { name: "kind", type: "STRING", read: ({ kind }) => kind },
  { name: "site", type: "STRING", read: ({ site }) => site },
  { name: "layer", type: "INT32", read: ({ layer }) => layer },
  { name: "position", type: "INT32", read: ({ position }) => positionColumn(position) },
  ...INDEX_FIELDS.map((field) => {
    return { name: field, type: "INT32", read: (node: ListedNode) => indexColumn(node, field) } as const;
  }),
  { name: "global", type: "BOOLEAN", read: ({ position }) => globalColumn(position) },
];

/** The columns of a table with a row for each node. */
export function nodeColumns(nodes: readonly ListedNode[]): Column[] {
  return NODE_COLUMNS.map(({ name, type, read }) => {
    const values = nodes.map(read);
    return { name, type, values: type === "INT32" ? Int32Array.from(values, Number) : values } as Column;
  });
}

type JointTableRow = JointPatch["rows"][number] & { readonly set: string };

/** Row groups of sets: their names stand in the place of hooks, and their nodes are in `sets.parquet`. */
export function* jointRowGroups(
  patches: readonly JointPatch[],
  donor: TruthDonor,
  scores: readonly string[],
): Generator<RowGroup> {
  const rows = patches.flatMap(({ set, rows: own }) => own.map((row): JointTableRow => ({ ...row, set })));
  for (let from = 0; from < rows.length; from += ROW_GROUP_ROWS)
    yield rowGroupOf(jointColumns(rows.slice(from, from + ROW_GROUP_ROWS), donor, scores));
}

function jointColumns(rows: readonly JointTableRow[], donor: TruthDonor, scores: readonly string[]): Column[] {
  const text = (name: string, value: (row: JointTableRow) => string): Column => ({
    name,
    type: "STRING",
    values: rows.map(value),
  });
  const whole = (name: string, value: (row: JointTableRow) => number): Column => ({
    name,
    type: "INT32",
    values: Int32Array.from(rows, value),
  });
  const float = (name: string, value: (row: JointTableRow) => number): Column => ({
    name,
    type: "DOUBLE",
    values: Float64Array.from(rows, value),
  });
  const flag = (name: string, value: boolean): Column => ({ name, type: "BOOLEAN", values: rows.map(() => value) });
  return [
    text("hook", ({ set }) => set),
    text("kind", () => SET_KIND),
    text("site", () => ""),
    whole("layer", () => -1),
    whole("position", () => -1),
    ...INDEX_FIELDS.map((field) => whole(field, () => -1)),
    flag("global", false),
    text("donor", () => donor),
    whole("prompt", ({ prompt }) => prompt),
    float("metric_clean", ({ metricClean }) => metricClean),
    float("metric_corrupted", ({ metricCorrupted }) => metricCorrupted),
    float("metric_patched", ({ metricPatched }) => metricPatched),
    float("effect", ({ metricPatched, metricClean }) => metricPatched - metricClean),
    flag("ran", true),
    ...scores.map((name) => float(name, () => Number.NaN)),
  ];
}
