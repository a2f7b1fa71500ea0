/** @file Turns the records of a finished stage into artifacts. A pure function of the plan, the records and earlier artifacts. */
import type { Plan, Stage } from "../plan/plan.js";
import { readPlanOnce } from "../plan/plan-cache.js";
import { readRunFile, runPaths } from "../plan/run-folder.js";
import { openDirectoryLog } from "../runlog/directory-log.js";
import type { Provenance } from "./artifact-metadata.js";
import { writeCircuits } from "./circuits-artifact.js";
import { writeMeans } from "./means-artifact.js";
import { writeNodes } from "./nodes-artifact.js";
import { writeScores } from "./scores-artifact.js";
import { type RecordSource, stageOf } from "./stage-records.js";
import { writeNodeMeans, writeTruth } from "./truth-artifact.js";
import { readTruthTable } from "./truth-table.js";
import { writeValidation } from "./validation-artifact.js";

/**
 * Writes the artifacts of a stage whose shards are all recorded (or quarantined, where the run allows partial results).
 * Stages whose records only feed a later stage write nothing.
 * @param folder - the run folder: run.json, plan.json, the mirrored log.
 * @param quarantined - shards that were given up.
 * @returns warnings: what the artifacts do not say because the results do not bear it.
 */
export async function reduceStage(
  folder: string,
  stageId: string,
  quarantined: readonly string[] = [],
): Promise<readonly string[]> {
  const run = readRunFile(folder);
  const plan = readPlanOnce(folder, run.plan_hash);
  const { model, saes, dataset, ...environment } = run.fingerprints;
  const log = await openDirectoryLog(runPaths(folder).log);
  try {
    const source: RecordSource = { plan, planHash: run.plan_hash, log, quarantined: new Set(quarantined) };
    const provenance: Provenance = {
      plan,
      planHash: run.plan_hash,
      environment,
      missingPrompts: missingPrompts(plan, quarantined),
    };
    return await reduce(stageOf(plan, stageId), source, provenance, runPaths(folder).artifact);
  } finally {
    await log.close();
  }
}

async function reduce(
  { task }: Stage,
  source: RecordSource,
  provenance: Provenance,
  artifact: (file: string) => string,
): Promise<readonly string[]> {
  switch (task.kind) {
    case "means":
      await writeMeans(source, provenance, artifact("means.safetensors"));
      return [];
    case "scores":
      await writeScores(source, provenance, task.score.name, artifact);
      return [];
    case "nodes":
      await writeNodes(source, provenance, artifact);
      return [];
    case "validation": {
      const table = await readTruthTable(source, artifact);
      writeTruth(table, provenance, artifact("truth.parquet"));
      writeNodeMeans(table, provenance, artifact("validation.parquet"));
      await writeValidation(source, table, provenance, artifact("validation.json"));
      return [];
    }
    case "circuits":
      return await writeCircuits(source, provenance, artifact);
    case "truth":
    case "noop":
      return [];
  }
}

/** Prompts of quarantined shards, ascending. */
function missingPrompts(plan: Plan, quarantined: readonly string[]): number[] {
  if (quarantined.length === 0) return [];
  const lost = new Set(quarantined);
  const prompts = plan.stages.flatMap(({ shards }) =>
    shards.flatMap((shard) => (lost.has(shard.id) ? shard.prompts : [])),
  );
  return [...new Set(prompts)].sort((a, b) => a - b);
}
