/**
 * @file Rates of the engine's programs on the demo sweep, in this process: no cluster, no disk but the artifacts.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as tf from "@tensorflow/tfjs-core";
import { readArtifact } from "../../dist/run/artifacts.js";
import { prepareRun } from "../../dist/artifacts/prepare-run.js";
import { planSweep } from "../../dist/plan/make-plan.js";
import { runPaths } from "../../dist/run/run-folder.js";
import { reduceStage } from "../../dist/artifacts/reduce-stage.js";
import { openDirectoryLog } from "../../dist/runlog/directory-log.js";
import { startBackend } from "../../dist/backends/start-backend.js";
import { loadInputs } from "../../dist/engine/load-inputs.js";
import { openPrograms } from "../../dist/engine/programs.js";
import { REGISTER } from "../../dist/experiments/registry.js";
import { benchEnvironment, keepRecord } from "../bench-run.js";
import { median } from "../figures.js";

const DATA = fileURLToPath(new URL("../../data", import.meta.url));
const SWEEP = "demo.yaml";

/** Runs the demo's stages in order; times up to `repeats` shards of each measured stage after one that warms up. */
export async function engineBench(scratch, repeats) {
  const { experiments } = REGISTER;
  const programs = openPrograms(experiments);
  const options = { backend: "wasm", autoThreads: 1 };
  const planned = await planSweep(
    experiments,
    { text: readFileSync(join(DATA, SWEEP), "utf8"), file: SWEEP, baseFolder: DATA },
    options,
  );
  const environment = benchEnvironment("wasm", 1);
  const { folder } = prepareRun(experiments, planned, {
    out: join(scratch, "engine"),
    environment,
    allowPartial: false,
  });
  await startBackend("wasm");
  const { model, close } = await loadInputs(planned.inputs, planned.plan);
  const paths = runPaths(folder);
  const artifact = (name) => readArtifact(folder, name);
  const log = await openDirectoryLog(paths.log);
  const rates = { gemm_gflops: gemmRate() };
  for (const stage of planned.plan.stages) {
    const measured = [];
    for (const shard of stage.shards) {
      const inputs = { plan: planned.plan, model, artifact, onProgress: () => undefined };
      const began = performance.now();
      const { payload, count, units } = await programs.run(inputs, stage, shard);
      if (units > 0) measured.push(units / ((performance.now() - began) / 1000));
      await keepRecord(log, planned.planHash, shard.id, { payload, count });
      if (measured.length > repeats && !feedsLater(stage)) break;
    }
    if (measured.length > 0)
      rates[stage.id] = {
        median: round(median(measured.slice(1).length > 0 ? measured.slice(1) : measured)),
        unit: `${programs.unitOf(stage)}/s`,
      };
    if (feedsLater(stage)) await reduceStage(experiments, folder, stage.id);
  }
  await close();
  return rates;
}

/** Stages whose artifacts later stages read must be computed whole. */
function feedsLater({ task }) {
  return task.kind === "means" || task.kind === "scores" || task.kind === "nodes";
}

/** GFLOP/s of a 512-cubed float32 product: the machine's yardstick in this run. */
function gemmRate() {
  const [a, b] = [tf.ones([512, 512]), tf.ones([512, 512])];
  const times = Array.from({ length: 10 }, () => {
    const began = performance.now();
    tf.tidy(() => void tf.matMul(a, b).dataSync());
    return performance.now() - began;
  });
  tf.dispose([a, b]);
  return round((2 * 512 ** 3) / (median(times) * 1e6));
}

function round(value) {
  return Number(value.toPrecision(4));
}
