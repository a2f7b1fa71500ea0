/** @file Prepares a run folder: a new one for a new plan, or the one that an earlier start left. */
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import type { Environment } from "../base/environment.js";
import { must } from "../base/assert.js";
import { badInput, type ErrorDetail, PatchbayError } from "../base/errors.js";
import { canonicalJson } from "../base/hash.js";
import { isDiskFull } from "../base/write-file.js";
import { findDamage } from "../run/artifact-sums.js";
import { copyArtifact, writeArtifact } from "../run/artifacts.js";
import { countClusters, countRepeats } from "../nodes/prompt.js";
import { evaluatedPrompts, promptUse, selectionPrompts } from "../plan/held-out.js";
import { datasetLines } from "../prompts/rows.js";
import type { PlannedRun } from "../plan/make-plan.js";
import type { Plan } from "../plan/plan.js";
import { storedPlan } from "../plan/stored-plan.js";
import {
  createRunFolder,
  holdsRun,
  readPlan,
  readRunFile,
  type RunFile,
  runName,
  runPaths,
  writeRunFile,
} from "../run/run-folder.js";
import type { HasTasks } from "../plan/task-kinds.js";
import {
  DATASET_FILE,
  DROPPED_FILE,
  type NamesArtifacts,
  PROMPTS_FILE,
  SAES_FILE,
  SELECT_FILE,
} from "../run/stage-artifacts.js";
import { encodePrompts } from "./prompts-file.js";
import { encodeSaes } from "./saes-file.js";

/** How a run starts. */
export interface PreparedRun {
  readonly folder: string;
  /** `new`; `continued`: finished shards are kept; `complete`: there is nothing left to do. */
  readonly start: "new" | "continued" | "complete";
  /** The file of a complete run that was missing or damaged, so that the run was taken up again. */
  readonly damaged?: string;
}

/** What the run folder records beside the plan. */
export interface RunChoices {
  /** Folder from `--out`; undefined: `runs/<name>-<first 8 of the plan hash>`. */
  readonly out: string | undefined;
  readonly environment: Environment;
  /** Why the backend was taken, in words. */
  readonly backendReason?: string;
  readonly allowPartial: boolean;
  /** When a coordinator got the sweep, which is then the one to continue the run; absent for `patchbay run`. */
  readonly submitted?: string;
}

/**
 * Creates or continues the run folder.
 * @throws PatchbayError `different_plan`, `different_environment`, naming the difference; `bad_input` when the folder holds
 *   other files or cannot be written; `disk_full`.
 */
export function prepareRun(
  experiments: readonly HasTasks<NamesArtifacts>[],
  planned: PlannedRun,
  choices: RunChoices,
): PreparedRun {
  const folder = runFolderOf(planned, choices.out);
  try {
    if (holdsRun(folder)) return continueRun(experiments, folder, planned, choices);
    refuseForeignFolder(folder);
    return beginRun(folder, planned, choices);
  } catch (thrown) {
    throw writeFault(folder, thrown);
  }
}

/** The folder of a run, given the value of `--out`. */
export function runFolderOf({ plan, planHash }: PlannedRun, out: string | undefined): string {
  return resolve(out ?? join("runs", runName(plan.sweep.name, planHash)));
}

function beginRun(
  folder: string,
  planned: PlannedRun,
  { environment, backendReason, allowPartial, submitted }: RunChoices,
): PreparedRun {
  createRunFolder(folder, planned.plan);
  writePlanned(folder, planned, environment);
  writeRunFile(folder, {
    ...newRunFile(planned, environment, allowPartial),
    ...(backendReason === undefined ? {} : { backend_reason: backendReason }),
    ...(submitted === undefined ? {} : { submitted }),
  });
  return { folder, start: "new" };
}

/** What the operating system says about the run folder, as an error that says what to do. */
function writeFault(folder: string, thrown: unknown): unknown {
  const { code, message } = thrown as NodeJS.ErrnoException;
  if (thrown instanceof PatchbayError || code === undefined) return thrown;
  if (isDiskFull(thrown)) {
    const text = `--out ${folder}: the disk is full; free some space, then run the same command again`;
    return new PatchbayError("disk_full", text, { cause: thrown });
  }
  return badInput(`cannot be written (${message}); choose a folder that you may write to`, place(folder), thrown);
}

const place = (folder: string): ErrorDetail => ({ field: `--out ${folder}` });

function continueRun(
  experiments: readonly HasTasks<NamesArtifacts>[],
  folder: string,
  planned: PlannedRun,
  { environment, allowPartial, submitted }: RunChoices,
): PreparedRun {
  const { plan, planHash, inputs } = planned;
  const { submitted: _submittedBefore, ...before } = readRunFile(folder);
  if (before.plan_hash !== planHash) {
    const difference = planDifference(readPlan(folder, before.plan_hash), plan);
    throw new PatchbayError(
      "different_plan",
      `${folder}: holds the run of another plan (${before.plan_hash.slice(0, 8)}, now ${planHash.slice(0, 8)}); they differ in ${difference}. Choose another --out, or restore the sweep.`,
    );
  }
  const changed = (Object.keys(environment) as (keyof Environment)[]).filter(
    (key) => before.fingerprints[key] !== environment[key],
  );
  if (changed.length > 0) {
    const parts = changed.map(
      (key) => `${key}: was ${String(before.fingerprints[key])}, is ${String(environment[key])}`,
    );
    throw new PatchbayError(
      "different_environment",
      `${folder}: was begun on another environment (${parts.join("; ")}); bits could differ. Choose another --out, or continue it on the first one.`,
    );
  }
  // Without an end the report may be missing: the run is taken up again, and has only that to do. Damaged artifacts are made again.
  const damaged =
    before.status === "complete" && before.ended !== null ? findDamage(experiments, folder, plan) : undefined;
  if (before.status === "complete" && before.ended !== null && damaged === undefined)
    return { folder, start: "complete" };
  mkdirSync(runPaths(folder).artifacts, { recursive: true });
  writePlanned(folder, planned, environment);
  writeRunFile(folder, {
    ...before,
    status: "running",
    reason: damaged === undefined ? "continued" : `continued: ${relative(folder, damaged)} was missing or damaged`,
    inputs,
    allow_partial: allowPartial,
    quarantined: [],
    ...(submitted === undefined ? {} : { submitted }),
    ended: null,
  });
  return { folder, start: "continued", ...(damaged === undefined ? {} : { damaged: relative(folder, damaged) }) };
}

/** Writes what planning knows of the dataset and the SAEs, and copies what is another run's: no stage makes these artifacts. */
function writePlanned(folder: string, planned: PlannedRun, environment: Environment): void {
  const { plan, planHash, texts, dropped, inputs, filteredBy, borrowed } = planned;
  const lines = dropped.map((row) => `${JSON.stringify(row)}\n`).join("");
  writeArtifact(folder, DROPPED_FILE, Buffer.from(lines));
  const provenance = { plan, planHash, environment, missingPrompts: [] };
  writeArtifact(folder, PROMPTS_FILE, encodePrompts(provenance, texts));
  for (const { field } of filteredBy) {
    const isSelect = field.includes("select");
    const used = plan.prompts.flatMap(({ line }, i) =>
      (promptUse(plan, i) === "select") === isSelect ? { file: must(texts[i], "text").file, line } : [],
    );
    const text = datasetLines((isSelect ? inputs.select : inputs.dataset) ?? "", used);
    writeArtifact(folder, isSelect ? SELECT_FILE : DATASET_FILE, Buffer.from(text));
  }
  if (plan.saes.length > 0) writeArtifact(folder, SAES_FILE, encodeSaes(provenance));
  for (const { name, path, sha256 } of borrowed)
    copyArtifact(folder, name, { path, sha256, remedy: "see to the run that it is taken from" });
}

/** The topmost parts of two plans that differ, in words. */
function planDifference(before: Plan, now: Plan): string {
  const sweepKeys = differingKeys(before.sweep, now.sweep).map((key) => `sweep.${key}`);
  const inputKeys = differingKeys(before.fingerprints, now.fingerprints).map((key) => `the ${key} files`);
  const engineKeys = differingKeys(before.engine, now.engine).map((key) => `engine.${key}`);
  const found = [...sweepKeys, ...inputKeys, ...engineKeys];
  return found.length > 0 ? found.join(", ") : differingKeys(storedPlan(before), storedPlan(now)).join(", ");
}

function differingKeys(a: object, b: object): string[] {
  const left = a as Record<string, unknown>;
  const right = b as Record<string, unknown>;
  return [...new Set([...Object.keys(left), ...Object.keys(right)])].filter(
    (key) => canonicalJson(left[key] ?? null) !== canonicalJson(right[key] ?? null),
  );
}

/** An empty folder, or one where preparing was cut short, is taken; anything else is left alone. */
function refuseForeignFolder(folder: string): void {
  if (!existsSync(folder)) return;
  if (!statSync(folder).isDirectory()) throw badInput("is a file; choose a folder", place(folder));
  const { plan, planPrompts, log, artifacts, sums } = runPaths(folder);
  const ours = new Set([plan, planPrompts, log, artifacts, sums]);
  const foreign = readdirSync(folder).find((name) => !ours.has(resolve(folder, name)) && !name.endsWith(".tmp"));
  if (foreign !== undefined) {
    throw new PatchbayError(
      "bad_input",
      `--out ${folder}: is not a run folder (it holds ${foreign} and no run.json); choose an empty or a new folder`,
    );
  }
  for (const path of ours) rmSync(path, { recursive: true, force: true });
}

function newRunFile(
  { plan, planHash, inputs, dropped, filteredBy }: PlannedRun,
  environment: Environment,
  allowPartial: boolean,
): RunFile {
  const evaluated = evaluatedPrompts(plan);
  const filtered = filteredBy.map(({ field, folder, planHash: hash, rows, measured, kept }) => ({
    dataset: field.join("."),
    from: folder,
    plan_hash: hash,
    rows,
    measured,
    kept,
  }));
  return {
    version: 1,
    name: plan.sweep.name,
    status: "running",
    reason: "started",
    plan_hash: planHash,
    sweep: { ...plan.sweep, engine: plan.engine },
    inputs,
    fingerprints: { ...plan.fingerprints, ...environment },
    ...(filtered.length === 0 ? {} : { filtered }),
    counts: {
      prompts: evaluated.length,
      ...(plan.evaluated === undefined ? {} : { select: selectionPrompts(plan).length }),
      dropped: dropped.length,
      repeated: countRepeats(evaluated),
      clusters: countClusters(evaluated),
      shards: plan.stages.reduce((sum, { shards }) => sum + shards.length, 0),
      done: 0,
      quarantined: 0,
      retries: 0,
      workers: 0,
    },
    quarantined: [],
    timings: {},
    weight_loading_seconds: 0,
    warnings: [],
    allow_partial: allowPartial,
    started: new Date().toISOString(),
    ended: null,
  };
}
