/** @file What the truth's part of a report is made of. */
import { bytesOf, rowsOf, type RunContents } from "../../../report/run-contents.js";
import { firstDifference } from "../../../nodes/prompt.js";
import { evaluatedPrompts } from "../../../plan/held-out.js";
import { runPaths } from "../../../run/run-folder.js";
import { type NodeRow, toNodeRow } from "./node-row.js";
import {
  type Difference,
  type Group,
  parseValidation,
  type Reliability,
  type UnmeasuredStratum,
} from "./validation-file.js";

/** A run with its truth. What is not there is null. */
export interface TruthContents extends RunContents {
  readonly nodes: readonly NodeRow[] | null;
  /** Groups of all layers together. */
  readonly groups: readonly Group[] | null;
  /** Groups of one layer. */
  readonly layerGroups: readonly Group[];
  readonly differences: readonly Difference[];
  readonly unmeasured: readonly UnmeasuredStratum[];
  readonly reliability: readonly Reliability[];
  /** Positions before it have the same tokens on both sides of every pair: no node has an effect there, and none is compared. */
  readonly firstDifference: number;
  /** Clusters of the prompts; null in a file of version 1, whose intervals resample single prompts. */
  readonly clusters: number | null;
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
    groups: validation?.groups.filter(({ layer }) => layer === null) ?? null,
    layerGroups: validation?.groups.filter(({ layer }) => layer !== null) ?? [],
    differences: validation?.differences ?? [],
    unmeasured: validation?.unmeasured ?? [],
    reliability: validation?.reliability ?? [],
    firstDifference: firstDifference(evaluatedPrompts(plan)),
    clusters: validation?.clusters ?? null,
  };
}
