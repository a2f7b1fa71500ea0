/** @file The last step of a run: every artifact is looked at once more, and the report is written. */
import { readdirSync } from "node:fs";
import { readArtifactSums, writeArtifactSums } from "../plan/artifact-sums.js";
import { readPlanOnce } from "../plan/plan-cache.js";
import { readRunFile, runPaths } from "../plan/run-folder.js";
import { artifactStages } from "../plan/stage-artifacts.js";
import { remakeIfDamaged } from "../reduce/reduce-stage.js";
import { writeReport } from "./write-report.js";

/**
 * Checks every artifact of a run folder against the hash that it was written with, and writes the report from them.
 * @returns the names of artifacts that were damaged, and were made again.
 * @throws PatchbayError `damaged_artifact` where one cannot be made again.
 */
export async function finishRun(folder: string): Promise<string[]> {
  const { plan_hash: planHash } = readRunFile(folder);
  const ours = new Set(["dropped.jsonl", ...artifactStages(readPlanOnce(folder, planHash)).keys()]);
  const sums = [...readArtifactSums(folder)].filter(([name]) => ours.has(name));
  writeArtifactSums(folder, new Map(sums)); // A damaged line may name a file that never was.
  const there = readdirSync(runPaths(folder).artifacts).filter((name) => ours.has(name));
  const remade: string[] = [];
  for (const name of new Set([...sums.map(([known]) => known), ...there]))
    remade.push(...(await remakeIfDamaged(folder, name)));
  await writeReport(folder);
  return remade;
}
