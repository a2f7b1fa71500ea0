/** @file The rows of `truth.parquet` in row groups of whole nodes: one row per node and prompt, then one per set that was patched at once and prompt. */
import { must } from "../../base/assert.js";
import { INDEX_FIELDS } from "../../nodes/kinds.js";
import { hookOf } from "../../nodes/node.js";
import { globalColumn, indexColumn, positionColumn } from "../../nodes/node-columns.js";
import type { TruthDonor } from "../../plan/node-list.js";
import { type Column, type ColumnType, ROW_GROUP_ROWS } from "../../artifacts/parquet.js";
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
export function* nodeRowGroups(table: TruthTable, donor: TruthDonor): Generator<Column[]> {
  const { nodes, prompts, present } = table;
  const step = nodesPerGroup(prompts);
  for (let start = 0; start === 0 || start < nodes.length; start += step) {
    const end = Math.min(nodes.length, start + step);
    const cells = Math.max(0, end - start) * prompts;
    const [all, of] = [new Int32Array(cells), new Int32Array(cells)];
    let count = 0;
    for (let n = start; n < end; n++) {
      for (let p = 0; p < prompts; p++) {
        if (present[p * nodes.length + n] !== 1) continue;
        all[count] = n;
        of[count++] = p;
      }
    }
    const [ns, ps] = [all.subarray(0, count), of.subarray(0, count)];
    for (let from = 0; from === 0 || from < ns.length; from += ROW_GROUP_ROWS) {
      const to = from + ROW_GROUP_ROWS;
      yield cellColumns(table, donor, ns.subarray(from, to), ps.subarray(from, to));
    }
  }
}

/** Columns of some cells: nodes `ns` on prompts `ps`. */
function cellColumns(table: TruthTable, donor: TruthDonor, ns: Int32Array, ps: Int32Array): Column[] {
  const { length } = table.nodes;
  const cells = ns.map((n, i) => (ps[i] as number) * length + n);
  const float = (name: string, value: (i: number) => number): Column => {
    const values = new Float64Array(cells.length);
    for (let i = 0; i < values.length; i++) values[i] = value(i);
    return { name, type: "DOUBLE", values };
  };
  const atPrompt = (values: Float64Array) => (i: number) => values[ps[i] as number] as number;
  const atCell = (values: Float64Array) => (i: number) => values[cells[i] as number] as number;
  return [
    ...nodeColumns(table.nodes, ns),
    { name: "donor", type: "STRING", values: new Array<string>(ns.length).fill(donor) },
    { name: "prompt", type: "INT32", values: ps.slice() },
    float("metric_clean", atPrompt(table.metricClean)),
    float("metric_corrupted", atPrompt(table.metricCorrupted)),
    float("metric_patched", atCell(table.metricPatched)),
    float("effect", (i) => effectAt(table, ps[i] as number, ns[i] as number)),
    { name: "ran", type: "BOOLEAN", values: Array.from(cells, (cell) => table.ran[cell] === 1) },
    ...[...table.scores].map(([name, values]) => float(name, atCell(values))),
  ];
}

/** What tables say of nodes. @param rows - the node of each row. */
export function nodeColumns(nodes: readonly ListedNode[], rows: Int32Array): Column[] {
  const column = (name: string, type: ColumnType, read: (node: ListedNode) => string | number | boolean): Column => {
    const known = new Map<number, string | number | boolean>();
    const of = (n: number): string | number | boolean => {
      const value = known.get(n) ?? read(must(nodes[n], "node"));
      known.set(n, value);
      return value;
    };
    const values = new Array<string | number | boolean>(rows.length);
    for (let i = 0, last = -1; i < rows.length; i++) {
      const n = rows[i] as number;
      values[i] = n === last ? (values[i - 1] as string) : of(n);
      last = n;
    }
    return { name, type, values: type === "INT32" ? Int32Array.from(values as number[]) : values } as Column;
  };
  return [
    column("hook", "STRING", hookOf),
    column("kind", "STRING", ({ kind }) => kind),
    column("site", "STRING", ({ site }) => site),
    column("layer", "INT32", ({ layer }) => layer),
    column("position", "INT32", ({ position }) => positionColumn(position)),
    ...INDEX_FIELDS.map((field) => column(field, "INT32", (node) => indexColumn(node, field))),
    column("global", "BOOLEAN", ({ position }) => globalColumn(position)),
  ];
}

type JointTableRow = JointPatch["rows"][number] & { readonly set: string };

/** Row groups of sets: their names stand in the place of hooks, and their nodes are in `sets.parquet`. */
export function* jointRowGroups(
  patches: readonly JointPatch[],
  donor: TruthDonor,
  scores: readonly string[],
): Generator<Column[]> {
  const rows = patches.flatMap(({ set, rows: own }) => own.map((row): JointTableRow => ({ ...row, set })));
  for (let from = 0; from < rows.length; from += ROW_GROUP_ROWS)
    yield jointColumns(rows.slice(from, from + ROW_GROUP_ROWS), donor, scores);
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
