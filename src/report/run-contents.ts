/** @file What every part of a report is made of, read from a run folder. */
import { z } from "zod";
import { decodePrompts, type PromptRow } from "../artifacts/prompts-file.js";
import { decodeParquet, type ParquetRow } from "../artifacts/parquet.js";
import { parseJson } from "../base/read-file.js";
import type { ScoreMethods } from "../methods/score-method.js";
import { evaluatedPrompts } from "../plan/held-out.js";
import type { Plan } from "../plan/plan.js";
import { hasArtifact, readArtifact } from "../run/artifacts.js";
import { readPlanOnce } from "../run/plan-cache.js";
import { PROMPTS_FILE } from "../run/stage-artifacts.js";
import { readRunFile, runPaths, type RunFile } from "../run/run-folder.js";
import { spansOf } from "../plan/span-positions.js";
import { exampleOf, type ExamplePrompt } from "./example-prompt.js";
import { readBaseline, type Baseline } from "./baseline.js";

/** A run folder, and what was read of it. */
export interface RunContents {
  readonly folder: string;
  readonly run: RunFile;
  readonly plan: Plan;
  readonly methods: ScoreMethods;
  /** Null in runs of earlier versions. */
  readonly prompts: readonly PromptRow[] | null;
  /** Whose tokens stand at positions. */
  readonly example: ExamplePrompt | null;
  readonly baseline: readonly Baseline[] | null;
  readonly dropped: readonly {
    readonly use?: string;
    readonly file?: string;
    readonly line: number;
    readonly reason: string;
  }[];
}

const droppedRow = z.object({
  use: z.string().exactOptional(),
  file: z.string().exactOptional(),
  line: z.int(),
  reason: z.string(),
});

/**
 * Reads what every run has.
 * @throws PatchbayError `bad_input` where a file is there but cannot be read; `damaged_artifact` where an artifact is not as it was
 *   written.
 */
export async function readRunContents(methods: ScoreMethods, folder: string): Promise<RunContents> {
  const run = readRunFile(folder);
  const plan = readPlanOnce(folder, run.plan_hash);
  const baseline = await readBaseline(folder, evaluatedPrompts(plan).length);
  const bytes = await bytesOf({ folder }, PROMPTS_FILE);
  const prompts = bytes === null ? null : await decodePrompts(bytes);
  return {
    folder,
    run,
    plan,
    methods,
    prompts,
    example: exampleOf(prompts, spansOf(plan.sweep)),
    baseline,
    dropped: parseDropped(await bytesOf({ folder }, "dropped.jsonl"), folder),
  };
}

/** Bytes of an artifact; null where the run has none. @throws PatchbayError `damaged_artifact`. */
export async function bytesOf({ folder }: Pick<RunContents, "folder">, name: string): Promise<Uint8Array | null> {
  return hasArtifact(folder, name) ? readArtifact(folder, name) : null;
}

/** Rows of a Parquet artifact; null where the run has none. @throws PatchbayError `damaged_artifact`. */
export async function rowsOf<T>(
  contents: Pick<RunContents, "folder">,
  name: string,
  toRow: (row: ParquetRow) => T,
): Promise<T[] | null> {
  const bytes = await bytesOf(contents, name);
  return bytes === null ? null : (await decodeParquet(bytes)).rows.map(toRow);
}

function parseDropped(bytes: Uint8Array | null, folder: string): RunContents["dropped"] {
  const file = runPaths(folder).artifact("dropped.jsonl");
  const lines = new TextDecoder()
    .decode(bytes ?? new Uint8Array())
    .trimEnd()
    .split("\n");
  return lines.flatMap((text, i) => (text === "" ? [] : [parseJson(text, droppedRow, { file, line: i + 1 })]));
}
