/** @file What the truth's part of a report is made of. */
import { bytesOf, rowsOf, type RunContents } from "../../../report/run-contents.js";
import { runPaths } from "../../../run/run-folder.js";
import { type NodeRow, toNodeRow } from "./node-row.js";
import { type Group, parseValidation, type Reliability } from "./validation-file.js";

/** A run with its truth. What is not there is null. */
export interface TruthContents extends RunContents {
  readonly nodes: readonly NodeRow[] | null;
  readonly groups: readonly Group[] | null;
  readonly reliability: readonly Reliability[];
}

/** Reads the truth's artifacts. @throws PatchbayError `bad_input`, `damaged_artifact`. */
export async function readTruthContents(contents: RunContents): Promise<TruthContents> {
  const { plan, folder } = contents;
  const names = plan.sweep.scores.map(({ name }) => name);
  const bytes = await bytesOf(contents, "validation.json");
  const validation = bytes === null ? null : parseValidation(bytes, runPaths(folder).artifact("validation.json"));
  return {
    ...contents,
    nodes: await rowsOf(contents, "validation.parquet", (row) => toNodeRow(row, names)),
    groups: validation?.groups ?? null,
    reliability: validation?.reliability ?? [],
  };
}
