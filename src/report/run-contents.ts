/** @file Everything a report is made of, read from a run folder. What is not there is null. */
import { existsSync } from "node:fs";
import { z } from "zod";
import { parseJson, readTextFile } from "../base/read-file.js";
import type { Plan } from "../plan/plan.js";
import { readPlanOnce } from "../plan/plan-cache.js";
import { readRunFile, runPaths, type RunFile } from "../plan/run-folder.js";
import { readParquet } from "../reduce/parquet.js";
import type { NamedArray } from "../weights/named-array.js";
import { readSafetensorsFile } from "../weights/safetensors.js";
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
import { readValidationFile, type Group, type Reliability } from "./validation-file.js";

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

/** Reads a run folder. @throws PatchbayError `bad_input` where a file is there but cannot be read. */
export async function readRunContents(folder: string): Promise<RunContents> {
  const run = readRunFile(folder);
  const plan = readPlanOnce(folder, run.plan_hash);
  const { artifact } = runPaths(folder);
  const tableOf = async <T>(name: string, toRow: (row: ParquetRow) => T): Promise<T[] | null> =>
    existsSync(artifact(name)) ? (await readParquet(artifact(name))).rows.map(toRow) : null;
  const scoreNames = plan.sweep.scores.map(({ name }) => name);
  const scores = new Map<string, ReadonlyMap<string, NamedArray>>();
  for (const name of scoreNames) {
    const file = artifact(`scores-${name}.safetensors`);
    if (existsSync(file)) scores.set(name, (await readSafetensorsFile(file)).arrays);
  }
  const validation = readValidationFile(artifact("validation.json"));
  return {
    run,
    plan,
    scores,
    components: await tableOf("components.parquet", toComponentRow),
    nodes: await tableOf("validation.parquet", (row) => toNodeRow(row, scoreNames)),
    groups: validation?.groups ?? null,
    reliability: validation?.reliability ?? [],
    circuits: await tableOf("circuits.parquet", toCircuitRow),
    baseline: await readBaseline(artifact, plan.prompts.length),
    dropped: readDropped(artifact("dropped.jsonl")),
  };
}

function readDropped(file: string): RunContents["dropped"] {
  if (!existsSync(file)) return [];
  const lines = readTextFile(file).trimEnd().split("\n");
  return lines.flatMap((text, i) => (text === "" ? [] : [parseJson(text, droppedRow, { file, line: i + 1 })]));
}
