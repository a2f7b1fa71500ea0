/** @file Runs a sweep in this process, without a cluster: plan, every shard, every reduction. For tests of the artifacts. */
import { mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sha256 } from "../../src/base/hash.js";
import type { SplicedModel } from "../../src/passes/spliced-model.js";
import { readArtifact } from "../../src/run/artifacts.js";
import { prepareRun } from "../../src/artifacts/prepare-run.js";
import { planSweep, type PlannedRun } from "../../src/plan/make-plan.js";
import { runPaths } from "../../src/run/run-folder.js";
import { reduceStage } from "../../src/artifacts/reduce-stage.js";
import { openDirectoryLog } from "../../src/runlog/directory-log.js";
import { openPrograms } from "../../src/engine/programs.js";
import { REGISTER } from "../../src/experiments/registry.js";

const ENVIRONMENT = {
  code: "test",
  backend: "wasm",
  device: "cpu",
  threads: 1,
  dtype: "float32",
  tfjs: "test",
};

/** Plans `text` (paths relative to `base`), runs it on `model` and returns the run folder, and what shards read: `<stage> <artifact>`. */
export async function runPipeline(
  text: string,
  base: string,
  model: SplicedModel,
): Promise<{ folder: string; planned: PlannedRun; warnings: string[]; reads: string[] }> {
  const { experiments } = REGISTER;
  const planned = await planSweep(
    experiments,
    { text, file: "sweep.yaml", baseFolder: base },
    { backend: "wasm", autoThreads: 1 },
  );
  const out = join(mkdtempSync(join(tmpdir(), "patchbay-pipeline-")), "run");
  mkdirSync(out, { recursive: true });
  const { folder } = prepareRun(experiments, planned, { out, environment: ENVIRONMENT, allowPartial: false });
  const paths = runPaths(folder);
  const log = await openDirectoryLog(paths.log);
  const { plan, planHash } = planned;
  const warnings: string[] = [];
  const reads: string[] = [];
  const programs = openPrograms(experiments);
  for (const stage of plan.stages) {
    for (const shard of stage.shards) {
      const artifact = (name: string): Promise<Uint8Array> => {
        reads.push(`${stage.id} ${name}`);
        return readArtifact(folder, name);
      };
      const { payload, count } = await programs.run(
        { plan, model, artifact, onProgress: () => undefined },
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
    warnings.push(...(await reduceStage(experiments, folder, stage.id)).warnings);
  }
  await log.close();
  return { folder, planned, warnings, reads };
}
