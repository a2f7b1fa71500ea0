/** @file Everything a report is made of, read from a run folder. What is not there is null. */
import { z } from "zod";
import { parseJson } from "../base/read-file.js";
import { hasArtifact, readArtifact } from "../plan/artifacts.js";
import type { Plan } from "../plan/plan.js";
import { readPlanOnce } from "../plan/plan-cache.js";
import { readRunFile, runPaths, type RunFile } from "../plan/run-folder.js";
import { decodeParquet } from "../reduce/parquet.js";
import type { NamedArray } from "../weights/named-array.js";
import { decodeSafetensors } from "../weights/safetensors.js";
import {
  toCircuitRow,
  toComponentRow,
  toNodeRow,
  type CircuitRow,
  type ComponentRow,
  type NodeRow,
  type ParquetRow,
} from "./artifact-rows.js";
import { readBaseline, type Baseline } from "./baseline.js";
import { parseValidation, type Group, type Reliability } from "./validation-file.js";

/** A run folder, read. */
export interface RunContents {
  readonly run: RunFile;
  readonly plan: Plan;
  /** By score name: arrays by hook. */
  readonly scores: ReadonlyMap<string, ReadonlyMap<string, NamedArray>>;
  readonly components: readonly ComponentRow[] | null;
  readonly nodes: readonly NodeRow[] | null;
  readonly groups: readonly Group[] | null;
  readonly reliability: readonly Reliability[];
  readonly circuits: readonly CircuitRow[] | null;
  readonly baseline: readonly Baseline[] | null;
  readonly dropped: readonly { readonly line: number; readonly reason: string }[];
}

const droppedRow = z.object({ line: z.int(), reason: z.string() });

/**
 * Reads a run folder.
 * @throws PatchbayError `bad_input` where a file is there but cannot be read; `damaged_artifact` where an artifact is not as it was
 *   written.
 */
export async function readRunContents(folder: string): Promise<RunContents> {
  const run = readRunFile(folder);
  const plan = readPlanOnce(folder, run.plan_hash);
  const { artifact } = runPaths(folder);
  const bytesOf = async (name: string): Promise<Uint8Array | null> =>
    hasArtifact(folder, name) ? readArtifact(folder, name) : null;
  const tableOf = async <T>(name: string, toRow: (row: ParquetRow) => T): Promise<T[] | null> => {
    const bytes = await bytesOf(name);
    return bytes === null ? null : (await decodeParquet(bytes)).rows.map(toRow);
  };
  const scoreNames = plan.sweep.scores.map(({ name }) => name);
  const scores = new Map<string, ReadonlyMap<string, NamedArray>>();
  for (const name of scoreNames) {
    const file = `scores-${name}.safetensors`;
    const bytes = await bytesOf(file);
    if (bytes !== null) scores.set(name, decodeSafetensors(bytes, { file: artifact(file) }).arrays);
  }
  const statistics = await bytesOf("validation.json");
  const validation = statistics === null ? null : parseValidation(statistics, artifact("validation.json"));
  return {
    run,
    plan,
    scores,
    components: await tableOf("components.parquet", toComponentRow),
    nodes: await tableOf("validation.parquet", (row) => toNodeRow(row, scoreNames)),
    groups: validation?.groups ?? null,
    reliability: validation?.reliability ?? [],
    circuits: await tableOf("circuits.parquet", toCircuitRow),
    baseline: await readBaseline(folder, plan.prompts.length),
    dropped: parseDropped(await bytesOf("dropped.jsonl"), artifact("dropped.jsonl")),
  };
}

function parseDropped(bytes: Uint8Array | null, file: string): RunContents["dropped"] {
  const lines = new TextDecoder()
    .decode(bytes ?? new Uint8Array())
    .trimEnd()
    .split("\n");
  return lines.flatMap((text, i) => (text === "" ? [] : [parseJson(text, droppedRow, { file, line: i + 1 })]));
}
