/** @file What the scores' part of a report is made of. */

import { scoresFile } from "../../../artifacts/scores-file.js";
import { bytesOf, type RunContents, rowsOf } from "../../../report/run-contents.js";
import { runPaths } from "../../../run/run-folder.js";
import type { NamedArray } from "../../../weights/named-array.js";
import { decodeSafetensors } from "../../../weights/safetensors.js";
import { type ComponentRow, toComponentRow } from "./component-row.js";

/** A run with its scores. */
export interface ScoresContents extends RunContents {
  /** By score name: arrays by hook. */
  readonly scores: ReadonlyMap<string, ReadonlyMap<string, NamedArray>>;
  readonly components: readonly ComponentRow[] | null;
}

/** Reads the scores' artifacts. @throws PatchbayError `bad_input`, `damaged_artifact`. */
export async function readScoresContents(contents: RunContents): Promise<ScoresContents> {
  const scores = new Map<string, ReadonlyMap<string, NamedArray>>();
  for (const { name } of contents.plan.sweep.scores) {
    const file = scoresFile(name);
    const bytes = await bytesOf(contents, file);
    if (bytes !== null)
      scores.set(name, decodeSafetensors(bytes, { file: runPaths(contents.folder).artifact(file) }).arrays);
  }
  return { ...contents, scores, components: await rowsOf(contents, "components.parquet", toComponentRow) };
}
