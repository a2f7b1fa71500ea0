/** @file Reductions of noop stages, for cluster tests: payloads joined in shard order, so that equal artifacts mean equal records. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkArtifact, writeArtifact } from "../../dist/run/artifacts.js";
import { readPlan, readRunFile, runPaths } from "../../dist/run/run-folder.js";
import { openDirectoryLog } from "../../dist/runlog/directory-log.js";

export async function reduceStage(folder, stageId, missing) {
  const { plan_hash: planHash } = readRunFile(folder);
  const stage = readPlan(folder, planHash).stages.find(({ id }) => id === stageId);
  const log = await openDirectoryLog(runPaths(folder).log);
  const parts = [];
  for (const { id } of stage.shards) if (!missing.includes(id)) parts.push((await log.read(id)).payload);
  await log.close();
  const bytes = Buffer.concat([Buffer.from(`missing ${missing.join(",")}\n`), ...parts]);
  writeArtifact(folder, `${stageId}.bin`, bytes);
  return { remade: [], warnings: [] };
}

export async function remakeIfDamaged(folder, name) {
  await checkArtifact(folder, name);
  return [];
}

export async function finishRun(folder) {
  writeFileSync(join(folder, "report.html"), "done");
  return [];
}
