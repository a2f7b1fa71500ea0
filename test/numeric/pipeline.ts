/** @file Runs a sweep in this process, without a cluster: plan, every shard, every reduction. For tests of the artifacts. */
import { mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NODE_MAJOR } from "../../src/base/environment.js";
import { sha256 } from "../../src/base/hash.js";
import type { SplicedModel } from "../../src/attribution/spliced-model.js";
import { readArtifact } from "../../src/plan/artifacts.js";
import { prepareRun } from "../../src/plan/prepare-run.js";
import { planSweep, type PlannedRun } from "../../src/plan/make-plan.js";
import { runPaths } from "../../src/plan/run-folder.js";
import { reduceStage } from "../../src/reduce/reduce-stage.js";
import { openDirectoryLog } from "../../src/runlog/directory-log.js";
import { runShard } from "../../src/engine/programs.js";

const ENVIRONMENT = {
  code: "test",
  backend: "wasm",
  device: "cpu",
  threads: 1,
  dtype: "float32",
  node: NODE_MAJOR,
  tfjs: "test",
};

/** Plans `text` (paths relative to `base`), runs it on `model` and returns the run folder. */
export async function runPipeline(
  text: string,
  base: string,
  model: SplicedModel,
): Promise<{ folder: string; planned: PlannedRun; warnings: string[] }> {
  const planned = await planSweep(text, "sweep.yaml", base, { backend: "wasm", autoThreads: 1 });
  const out = join(mkdtempSync(join(tmpdir(), "patchbay-pipeline-")), "run");
  mkdirSync(out, { recursive: true });
  const { folder } = prepareRun(planned, { out, environment: ENVIRONMENT, allowPartial: false });
  const paths = runPaths(folder);
  const log = await openDirectoryLog(paths.log);
  const { plan, planHash } = planned;
  const warnings: string[] = [];
  for (const stage of plan.stages) {
    for (const shard of stage.shards) {
      const { payload, count } = await runShard(
        { plan, model, artifact: (name) => readArtifact(folder, name), onProgress: () => undefined },
        stage,
        shard,
      );
      const envelope = {
        version: 1,
        planHash,
        shard: shard.id,
        attempt: 0,
        epoch: 0,
        worker: "test",
        environment: "test",
        dtype: "float32",
      } as const;
      await log.append({ ...envelope, count, sha256: sha256(payload), seconds: 0, units: {} }, payload);
    }
    warnings.push(...(await reduceStage(folder, stage.id)).warnings);
  }
  await log.close();
  return { folder, planned, warnings };
}
