/** @file The last step of a run: every artifact is looked at once more, and the report is written. */
import { readdirSync } from "node:fs";
import { readArtifactSums, writeArtifactSums } from "../run/artifact-sums.js";
import { readPlanOnce } from "../run/plan-cache.js";
import { readRunFile, runPaths } from "../run/run-folder.js";
import { artifactStages, plannedArtifacts } from "../run/stage-artifacts.js";
import { remakeIfDamaged, type ReducedExperiment } from "../artifacts/reduce-stage.js";
import { writeReport } from "./write-report.js";
import type { ScoreMethods } from "../methods/score-method.js";
import type { ReportedExperiment } from "./report-part.js";

/** What the end of a run is made with. */
export interface Finishing {
  readonly methods: ScoreMethods;
  readonly experiments: readonly (ReducedExperiment & ReportedExperiment)[];
}

/**
 * Checks every artifact of a run folder against the hash that it was written with, and writes the report from them.
 * @returns the names of artifacts that were damaged, and were made again.
 * @throws PatchbayError `damaged_artifact` where one cannot be made again.
 */
export async function finishRun(register: Finishing, folder: string): Promise<string[]> {
  const { experiments } = register;
  const { plan_hash: planHash } = readRunFile(folder);
  const plan = readPlanOnce(folder, planHash);
  const ours = new Set([...plannedArtifacts(plan), ...artifactStages(experiments, plan).keys()]);
  const sums = [...readArtifactSums(folder)].filter(([name]) => ours.has(name));
  writeArtifactSums(folder, new Map(sums)); // A damaged line may name a file that never was.
  const there = readdirSync(runPaths(folder).artifacts).filter((name) => ours.has(name));
  const remade: string[] = [];
  for (const name of new Set([...sums.map(([known]) => known), ...there]))
    remade.push(...(await remakeIfDamaged(experiments, folder, name)));
  await writeReport(register, folder);
  return remade;
}
