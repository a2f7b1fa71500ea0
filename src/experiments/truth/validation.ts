/** @file Joins the truth with the scores: both tables and the statistics. */
import type { ReductionInputs } from "../../artifacts/reduction.js";
import type { StageTask } from "../../plan/plan.js";
import { encodeNodeMeans, encodeTruthRows } from "./truth-artifact.js";
import { readTruthTable } from "./truth-table.js";
import { validationText } from "./validation-artifact.js";

/** Writes `truth.parquet`, `validation.parquet` and `validation.json`. */
export async function reduce(
  _task: StageTask,
  { source, provenance, artifacts }: ReductionInputs,
): Promise<readonly string[]> {
  const table = await readTruthTable(source, artifacts.read);
  artifacts.write("truth.parquet", encodeTruthRows(table, provenance));
  artifacts.write("validation.parquet", encodeNodeMeans(table, provenance));
  artifacts.write("validation.json", Buffer.from(await validationText(source, table, provenance)));
  return [];
}
