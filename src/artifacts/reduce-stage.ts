/** @file Turns the records of a finished stage into artifacts. A pure function of the plan, the records and earlier artifacts. */
import { mkdirSync, rmSync } from "node:fs";
import { PatchbayError, toPatchbayError } from "../base/errors.js";
import { type Artifacts, checkArtifact, openArtifact, readArtifact, writeArtifact } from "../run/artifacts.js";
import { isDamage } from "../run/known-file.js";
import type { Plan } from "../plan/plan.js";
import { readPlanOnce } from "../run/plan-cache.js";
import { environmentOfRun, readRunFile, runPaths } from "../run/run-folder.js";
import { artifactStages, type NamesArtifacts } from "../run/stage-artifacts.js";
import { openDirectoryLog } from "../runlog/directory-log.js";
import type { Provenance } from "./artifact-metadata.js";
import { quarantinedIn, type RecordSource, stageOf } from "./stage-records.js";
import { type HasTasks, taskKind } from "../plan/task-kinds.js";
import type { Reduction } from "./reduction.js";

/** What reducing needs of an experiment. */
export type ReducedExperiment = HasTasks<Reduction & NamesArtifacts>;

/** What a reduction says besides its artifacts. */
export interface Reduced {
  /** Names of artifacts that were found damaged on the disk, and were made again from the run log. */
  readonly remade: readonly string[];
  /** What the artifacts do not say because the results do not bear it. */
  readonly warnings: readonly string[];
}

/**
 * Writes the artifacts of a stage whose shards are all recorded (or quarantined, where the run allows partial results).
 * Stages whose records only feed a later stage write nothing. An artifact that it reads and finds damaged is made again first.
 * @param experiments - those that the plan's stages belong to.
 * @param folder - the run folder: run.json, plan.json, the mirrored log.
 * @param quarantined - shards that were given up.
 * @throws PatchbayError `corrupt_record`; `damaged_artifact`.
 */
export async function reduceStage(
  experiments: readonly ReducedExperiment[],
  folder: string,
  stageId: string,
  quarantined: readonly string[] = [],
): Promise<Reduced> {
  const run = readRunFile(folder);
  const plan = readPlanOnce(folder, run.plan_hash);
  const environment = environmentOfRun(run);
  const log = await openDirectoryLog(runPaths(folder).log);
  const remade: string[] = [];
  try {
    const source: RecordSource = { plan, planHash: run.plan_hash, log, quarantined: new Set(quarantined) };
    const provenance: Provenance = {
      plan,
      planHash: run.plan_hash,
      environment,
      missingPrompts: missingPrompts(plan, quarantined),
    };
    const artifacts: Artifacts = {
      read: (name) => orRemade(experiments, folder, name, { use: () => readArtifact(folder, name), remade }),
      write: (name, bytes) => {
        writeArtifact(folder, name, bytes);
      },
      open: (name) => openArtifact(folder, name),
      scratch: () => {
        clearScratch(folder);
        mkdirSync(runPaths(folder).scratch);
        return runPaths(folder).scratch;
      },
    };
    const { task } = stageOf(plan, stageId);
    const reduction = await taskKind(experiments, task).reduction?.();
    const warnings = (await reduction?.reduce(task, { source, provenance, artifacts })) ?? [];
    return { remade, warnings };
  } finally {
    clearScratch(folder);
    await log.close();
  }
}

/** A process that died in a reduction left its files. */
function clearScratch(folder: string): void {
  rmSync(runPaths(folder).scratch, { recursive: true, force: true });
}

/**
 * Makes an artifact again from the run log where it is not as it was written: the records have hashes of their own, so the stage's
 * reduction gives the bytes that were there.
 * @returns the names of artifacts that were damaged: this one, and those that making it again had to read.
 * @throws PatchbayError `damaged_artifact` where it cannot be made again, saying why and what to do.
 */
export async function remakeIfDamaged(
  experiments: readonly ReducedExperiment[],
  folder: string,
  name: string,
): Promise<string[]> {
  const remade: string[] = [];
  await orRemade(experiments, folder, name, { use: () => checkArtifact(folder, name), remade });
  return remade;
}

/** What `use` gives of an artifact, which is made again where `use` finds it damaged; `remade` takes its name. */
async function orRemade<T>(
  experiments: readonly ReducedExperiment[],
  folder: string,
  name: string,
  { use, remade }: { readonly use: () => Promise<T>; readonly remade: string[] },
): Promise<T> {
  try {
    return await use();
  } catch (thrown) {
    if (!isDamage(thrown)) throw thrown;
    remade.push(name, ...(await remake(experiments, folder, name, thrown)));
    return use();
  }
}

async function remake(
  experiments: readonly ReducedExperiment[],
  folder: string,
  name: string,
  damaged: PatchbayError,
): Promise<readonly string[]> {
  const run = readRunFile(folder);
  const plan = readPlanOnce(folder, run.plan_hash);
  const stage = artifactStages(experiments, plan).get(name);
  if (stage === undefined) throw damaged;
  const missing = quarantinedIn(
    stageOf(plan, stage),
    run.quarantined.map(({ shard }) => shard),
  ).map(({ id }) => id);
  try {
    return (await reduceStage(experiments, folder, stage, missing)).remade;
  } catch (cause) {
    const { message } = toPatchbayError(cause);
    const text = `${damaged.message} (making it again failed: ${message})`;
    throw new PatchbayError("damaged_artifact", text, { cause, detail: damaged.detail });
  }
}

/** Prompts of quarantined shards, ascending. */
function missingPrompts(plan: Plan, quarantined: readonly string[]): number[] {
  const prompts = plan.stages.flatMap((stage) => quarantinedIn(stage, quarantined).flatMap((shard) => shard.prompts));
  return [...new Set(prompts)].sort((a, b) => a - b);
}
