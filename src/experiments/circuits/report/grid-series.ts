/** @file The measured points of a grid: one number each, with its interval. */
import type { AxisLabel } from "../grid.js";
import { contrastsOf } from "../contrasts.js";
import { pointsOf, SIZE_AXIS } from "../points.js";
import { type CircuitRow, sizeOf } from "./circuit-row.js";
import type { CircuitContents } from "./contents.js";

/** A point as a figure draws it. */
export interface GridRow {
  readonly circuit: string;
  readonly axes: ReadonlyMap<string, AxisLabel>;
  readonly value: number;
  readonly low: number;
  readonly high: number;
  /** Nodes that are kept, or not ablated. */
  readonly nodesKept: number;
  readonly nodesAblated: number;
  readonly nodesRestored: number;
  /** Sum of the scores of what is ablated; NaN where it was not asked for. */
  readonly beside: number;
}

/** All points of an experiment, in one measure. */
export interface GridSeries {
  readonly measure: "faithfulness" | "metric" | "difference of faithfulness";
  /** What the unablated model has of the measure, where that is one number. */
  readonly base: number;
  readonly rows: readonly GridRow[];
}

/** The points of an experiment by faithfulness, or by the metric where no point has one. */
export function seriesOfGrid({ plan, circuits }: CircuitContents, experiment: string): GridSeries {
  const byName = new Map((circuits ?? []).map((row) => [row.circuit, row]));
  const points = pointsOf(plan.sweep).filter((point) => point.experiment === experiment);
  const measured = points.flatMap(({ circuit, axes }): { axes: GridRow["axes"]; row: CircuitRow }[] => {
    const row = byName.get(circuit);
    return row === undefined ? [] : [{ axes, row }];
  });
  const measure = measured.some(({ row }) => Number.isFinite(row.faithfulness)) ? "faithfulness" : "metric";
  return {
    measure,
    base: measure === "faithfulness" ? 1 : 0,
    rows: measured.map(({ axes, row }) => ({
      circuit: row.circuit,
      axes,
      nodesKept: sizeOf(row),
      nodesAblated: row.nodesAblated,
      nodesRestored: row.nodesRestored,
      beside: row.beside,
      ...(measure === "faithfulness"
        ? { value: row.faithfulness, low: row.faithfulnessLow, high: row.faithfulnessHigh }
        : { value: row.metricCircuit, low: Number.NaN, high: Number.NaN }),
    })),
  };
}

/** Whether a series has anything to draw. */
export function isSeries({ rows }: GridSeries): boolean {
  return rows.some(({ value }) => Number.isFinite(value));
}

/** A contrast's differences, over the other axes. */
export interface ContrastSeries {
  readonly experiment: string;
  readonly axis: string;
  readonly name: string;
  readonly series: GridSeries;
}

/** The contrasts of a sweep, each over all of its points. */
export function contrastSeries({ plan, contrasts }: CircuitContents): ContrastSeries[] {
  const known = new Map((contrasts ?? []).map((row) => [`${row.first} ${row.second}`, row]));
  const found = new Map<string, ContrastSeries & { readonly series: { readonly rows: GridRow[] } }>();
  for (const { experiment, axis, name, axes, first, second } of contrastsOf(plan.sweep)) {
    const row = known.get(`${first.circuit} ${second.circuit}`);
    if (row === undefined) continue;
    const key = `${experiment} ${name}`;
    const series = { measure: "difference of faithfulness", base: 0, rows: [] } as const;
    const own = found.get(key) ?? { experiment, axis, name, series: { ...series, rows: [] } };
    found.set(key, own);
    own.series.rows.push({
      circuit: `${first.circuit} - ${second.circuit}`,
      axes,
      value: row.difference,
      low: row.low,
      high: row.high,
      nodesKept: Number.NaN,
      nodesAblated: Number.NaN,
      nodesRestored: Number.NaN,
      beside: Number.NaN,
    });
  }
  return [...found.values()];
}

/** A series with the number of nodes that each point keeps as one more axis; points without nodes are left out. */
export function bySize(series: GridSeries): GridSeries {
  const rows = series.rows.filter(({ nodesKept }) => nodesKept > 0);
  return { ...series, rows: rows.map((row) => ({ ...row, axes: new Map([...row.axes, [SIZE_AXIS, row.nodesKept]]) })) };
}
