/** @file What the tables of circuits say of configurations on sets: numbers of nodes, and a column for each axis. */
import { must } from "../../base/assert.js";
import type { Column } from "../../artifacts/parquet.js";
import { ABLATED, type Intervention } from "../../nodes/intervention.js";
import { placedWithin } from "../../nodes/list-interventions.js";
import { intersection, type NodeLists, sizeOfLists } from "../../nodes/node-lists.js";
import { countNodes } from "../../nodes/node-states.js";
import { nodesPerPlace } from "../../plan/node-places.js";
import { tokenCounts } from "../../plan/held-out.js";
import type { Plan } from "../../plan/plan.js";
import type { AxisLabel } from "./grid.js";
import { interventionOfPoint } from "./evaluation-interventions.js";
import type { Point, SetUse } from "./points.js";

/** How many nodes a point names, for the longest prompts. */
export interface PointSizes {
  /** What it does to each node. */
  readonly intervention: Intervention;
  readonly nodesAblated: number;
  readonly nodesRestored: number;
  readonly nodesNamedByBoth: number;
}

/** Counts the nodes of a point. */
export function pointSizes(plan: Plan, point: Point, sets: ReadonlyMap<string, NodeLists>): PointSizes {
  const length = tokenCounts(plan).longest;
  const { keep, ablate, restore } = point.sets;
  const widthOf = nodesPerPlace(plan);
  const nodesOf = (use: SetUse | undefined): NodeLists =>
    use === undefined ? new Map() : placedWithin(must(sets.get(use.key), use.set), length, widthOf);
  const [ablated, restored] = [nodesOf(ablate), nodesOf(restore)];
  const intervention = interventionOfPoint(plan, { point, side: "circuit" }, sets, length);
  return {
    intervention,
    nodesAblated: keep === undefined ? sizeOfLists(ablated) : countNodes(intervention, ABLATED),
    nodesRestored: sizeOfLists(restored),
    nodesNamedByBoth: sizeOfLists(intersection(ablated, restored)),
  };
}

/** A row's axes; other rows than those of grids have none. */
interface AxisRow {
  readonly axes: ReadonlyMap<string, AxisLabel>;
}

/** What the tables say of each measure, beside the number itself. */
const BOUNDS = ["", "_low", "_high"];
/** What they say of each ratio. */
const OF_RATIOS = [...BOUNDS, "_mean", "_mean_low", "_mean_high", "_simultaneous_low", "_simultaneous_high"];
const KEPT = ["n_features", "n_errors_resid", "n_errors_other", "n_sites", "n_heads", "n_neurons"];

/** Names that an axis cannot have: the tables have columns of them. */
export const FIXED_COLUMNS: ReadonlySet<string> = new Set([
  ...["circuit", "experiment", "variant", "threshold", "keep", "exempt_early_layers", "clusters", "undefined_because"],
  ...["prompt", "side", "metric_circuit", "metric_full", "metric_empty", "metric_complement", "beside"],
  ...["nodes_ablated", "nodes_restored", "nodes_named_by_both"],
  ...KEPT.flatMap((count) => [count, `not_ablated_${count}`]),
  ...BOUNDS.map((bound) => `denominator${bound}`),
  ...["faithfulness", "completeness"].flatMap((ratio) => OF_RATIOS.map((bound) => `${ratio}${bound}`)),
]);

/** Columns that say what axes of the same name say. */
const SAID_ELSEWHERE = ["ablation"];

/** Names of the axis columns of a table. */
function axisNames(rows: readonly AxisRow[]): string[] {
  const names = new Set(rows.flatMap(({ axes }) => [...axes.keys()]));
  return [...names].filter((name) => !SAID_ELSEWHERE.includes(name));
}

const kindsKnown = new WeakMap<readonly AxisRow[], readonly { readonly name: string; readonly isNumeric: boolean }[]>();

/** The axes of all rows; found out once, because tables are written in pieces. */
function kindsOfAxes(all: readonly AxisRow[]): readonly { readonly name: string; readonly isNumeric: boolean }[] {
  const known = kindsKnown.get(all);
  if (known !== undefined) return known;
  const axes = all.map((row) => row.axes);
  const kinds = axisNames(all).map((name) => ({
    name,
    isNumeric: axes.every((values) => typeof (values.get(name) ?? 0) === "number"),
  }));
  kindsKnown.set(all, kinds);
  return kinds;
}

/**
 * A column for each axis, of numbers where every value of the axis is one. A row of an experiment without the axis has NaN, or no text.
 * @param all - rows that decide the type; @param rows - those that are written.
 */
export function axisColumns(all: readonly AxisRow[], rows: readonly AxisRow[]): Column[] {
  return kindsOfAxes(all).map(({ name, isNumeric }): Column => {
    const values = rows.map(({ axes }) => axes.get(name));
    return isNumeric
      ? {
          name,
          type: "DOUBLE",
          values: Float64Array.from(values, (value) => (value === undefined ? Number.NaN : Number(value))),
        }
      : { name, type: "STRING", values: values.map((value) => String(value ?? "")) };
  });
}
