/** @file The configurations of a run: what each point of a grid leaves of the metric. */
import { type CircuitRow, thresholdCircuits } from "../experiments/circuits/report/circuit-row.js";
import { type Point, pointsOf } from "../experiments/circuits/points.js";
import type { Plan } from "../plan/plan.js";
import { completenessOf, faithfulnessOf } from "./circuit-table.js";
import { plain, type Cell, type Section, type Table } from "./table.js";

/** A table for each experiment, those without a grid together; null where the run has none. */
export function experimentSection(rows: readonly CircuitRow[], sweep: Plan["sweep"]): Section | null {
  const points = new Map(pointsOf(sweep).map((point) => [point.circuit, point]));
  const circuits = new Set(thresholdCircuits(rows));
  const gridded = rows.filter(({ circuit }) => (points.get(circuit)?.axes.size ?? 0) > 0);
  const single = rows.filter((row) => !circuits.has(row) && !gridded.includes(row));
  const names = new Set(gridded.map(({ circuit }) => points.get(circuit)?.experiment));
  const tables = [...names].map((name) =>
    gridTable(
      name ?? "",
      gridded.flatMap((row) => {
        const point = points.get(row.circuit);
        return point?.experiment === name && point !== undefined ? [{ row, point }] : [];
      }),
    ),
  );
  if (single.length > 0) tables.push(singleTable(single));
  return tables.length === 0 ? null : { title: "Experiments", tables };
}

function gridTable(title: string, rows: readonly { readonly row: CircuitRow; readonly point: Point }[]): Table {
  const axes = [...(rows[0]?.point.axes.keys() ?? [])];
  const fixed = axes.includes("ablation") ? [] : ["ablation"];
  const measured = measuredIn(rows.map(({ row }) => row));
  return {
    title,
    columns: [...axes, ...fixed, ...measured.map(({ name }) => name)],
    rows: rows.map(({ row, point }) => [
      ...axes.map((axis) => plain(point.axes.get(axis) ?? "")),
      ...fixed.map(() => plain(row.ablation)),
      ...measured.map(({ cell }) => cell(row)),
    ]),
    grouped: false,
  };
}

function singleTable(rows: readonly CircuitRow[]): Table {
  const measured = measuredIn(rows);
  return {
    title: "Without a grid",
    columns: ["experiment", "ablation", ...measured.map(({ name }) => name)],
    rows: rows.map((row) => [plain(row.circuit), plain(row.ablation), ...measured.map(({ cell }) => cell(row))]),
    grouped: false,
  };
}

/** A column of what was measured. */
interface Measured {
  readonly name: string;
  readonly cell: (row: CircuitRow) => Cell;
}

/** The columns of some rows: completeness where one has it. */
function measuredIn(rows: readonly CircuitRow[]): Measured[] {
  const hasComplement = rows.some(({ completeness }) => Number.isFinite(completeness));
  return [
    { name: "nodes ablated", cell: ({ nodesAblated }) => plain(nodesAblated) },
    { name: "nodes restored", cell: ({ nodesRestored }) => plain(nodesRestored) },
    { name: "faithfulness", cell: faithfulnessOf },
    ...(hasComplement ? [{ name: "completeness", cell: completenessOf }] : []),
  ];
}
