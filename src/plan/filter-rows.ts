/** @file The rows of a dataset that its filter keeps: those that an earlier run evaluated, and measured as the filter says. */
import { resolve } from "node:path";
import { must } from "../base/assert.js";
import { type DatasetRow, fingerprintDataset } from "../prompts/rows.js";
import type { SweepSource } from "../sweep/read-sweep.js";
import { type RowsSpec, rowsOf } from "../sweep/sweep.js";
import { type FilterFault, type MeasuredRows, type PlanPart, rowKey } from "./plan-part.js";

/** The run that a dataset's rows were filtered by. */
export interface FilteredBy {
  /** The dataset's field in the sweep. */
  readonly field: readonly string[];
  readonly folder: string;
  readonly planHash: string;
  /** Rows of the dataset, those of them that the run evaluated, and those that are kept. */
  readonly rows: number;
  readonly measured: number;
  readonly kept: number;
}

/**
 * Keeps the rows that the filters of the sweep's datasets keep.
 * @param rows - of each dataset of the sweep.
 * @param baseFolder - relative paths start here.
 * @throws PatchbayError `bad_input` where a run is none, evaluated other rows, or lacks what a filter names.
 */
export async function filterDatasets(
  parts: readonly PlanPart[],
  { sweep, fault }: SweepSource,
  rows: readonly (readonly DatasetRow[])[],
  baseFolder: string,
): Promise<{ readonly rows: readonly (readonly DatasetRow[])[]; readonly filteredBy: readonly FilteredBy[] }> {
  const filteredBy: FilteredBy[] = [];
  const kept = rows.map((own) => own);
  for (const [i, spec] of rowsOf(sweep).entries()) {
    if (spec?.where === undefined) continue;
    const at: FilterFault = (field, message) => fault([...spec.field, "where", ...field], message);
    const folder = resolve(baseFolder, spec.where.from);
    const run = await measuredRows(parts, spec, folder, at);
    if (run.dataset !== (await fingerprintDataset(resolve(baseFolder, spec.path))))
      throw at(["from"], `this run evaluated rows of other files than ${spec.path}; name a run on the same dataset`);
    const own = must(rows[i], "rows");
    const left = own.filter((row) => run.kept.has(rowKey(row)));
    const measured = own.filter((row) => run.measured.has(rowKey(row))).length;
    if (left.length === 0)
      throw at([], `keeps none of the ${String(measured)} rows that the run evaluated; choose other bounds`);
    kept[i] = left;
    const { planHash } = run;
    filteredBy.push({ field: spec.field, folder, planHash, rows: own.length, measured, kept: left.length });
  }
  return { rows: kept, filteredBy };
}

async function measuredRows(
  parts: readonly PlanPart[],
  { where }: RowsSpec,
  folder: string,
  fault: FilterFault,
): Promise<MeasuredRows> {
  const source = parts.find((part) => part.filterRows !== undefined);
  return await must(source?.filterRows?.(folder, must(where, "filter"), fault), "an experiment that measures prompts");
}
