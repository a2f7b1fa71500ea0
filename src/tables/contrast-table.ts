/** @file Contrasts of a run's grids: differences of faithfulness between two values of an axis, paired by prompt. */
import type { ParquetRow } from "../artifacts/parquet.js";
import { bounded, plain, type Section, type Table } from "./table.js";

/** What `contrasts.parquet` has beside the axes. */
const FIELDS = [
  "experiment",
  "contrast",
  "first",
  "second",
  "difference",
  "difference_low",
  "difference_high",
  "clusters",
];

/** A table for each contrast of each experiment, a row for each pair of points; null where the run has none. */
export function contrastSection(rows: readonly ParquetRow[]): Section | null {
  const tables = new Map<string, ParquetRow[]>();
  for (const row of rows) {
    const title = `${text(row["experiment"])}, ${text(row["contrast"])}`;
    tables.set(title, [...(tables.get(title) ?? []), row]);
  }
  if (tables.size === 0) return null;
  return { title: "Differences of faithfulness", tables: [...tables].map(([title, own]) => contrastTable(title, own)) };
}

/** The axes that the contrast's experiment has: others are empty in its rows. */
function contrastTable(title: string, rows: readonly ParquetRow[]): Table {
  const axes = Object.keys(rows[0] ?? {}).filter(
    (name) => !FIELDS.includes(name) && rows.some((row) => row[name] !== null && row[name] !== undefined),
  );
  return {
    title,
    columns: [...axes, "difference"],
    rows: rows.map((row) => [
      ...axes.map((axis) => plain(text(row[axis]))),
      bounded({
        value: number(row["difference"]),
        low: number(row["difference_low"]),
        high: number(row["difference_high"]),
      }),
    ]),
    grouped: false,
  };
}

const text = (value: ParquetRow[string]): string | number =>
  typeof value === "number" ? value : typeof value === "string" ? value : "";
const number = (value: ParquetRow[string]): number | null =>
  typeof value === "number" && Number.isFinite(value) ? value : null;
