/**
 * @file The measuring process of `npm run bench:fullsize`: plans the sweep of a folder that full-checkpoint.js wrote, opens its weights under
 * a budget and computes every stage, shard by shard, as an engine does. Prints a line of JSON for each step.
 */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import * as tf from "@tensorflow/tfjs-core";
import { readArtifact } from "../../dist/run/artifacts.js";
import { planSweep } from "../../dist/plan/make-plan.js";
import { prepareRun } from "../../dist/artifacts/prepare-run.js";
import { runPaths } from "../../dist/run/run-folder.js";
import { reduceStage } from "../../dist/artifacts/reduce-stage.js";
import { openDirectoryLog } from "../../dist/runlog/directory-log.js";
import { startBackend } from "../../dist/backends/start-backend.js";
import { loadInputs } from "../../dist/engine/load-inputs.js";
import { openPrograms } from "../../dist/engine/programs.js";
import { REGISTER } from "../../dist/experiments/registry.js";
import { WEIGHTS_SHARE } from "../../dist/engine/tensor-program.js";
import { backendFlag, benchEnvironment, dtypeFlag, keepRecord } from "../bench-run.js";
import { round } from "../figures.js";

const { values: flags } = parseArgs({
  options: {
    folder: { type: "string" },
    backend: { type: "string" },
    dtype: { type: "string" },
    threads: { type: "string" },
    "memory-mib": { type: "string" },
    prompts: { type: "string" },
    circuits: { type: "boolean", default: false },
  },
});
const { folder } = flags;
const threads = Number(flags.threads);
const { experiments } = REGISTER;

const sweep = {
  name: "fullsize",
  model: { path: "model" },
  saes: { path: "saes" },
  dataset: { path: "pairs.jsonl", limit: Number(flags.prompts) },
  dtype: flags.dtype,
  engine: { threads },
  scores: [{ name: "atp", method: "atp" }],
  truth: { positions: "all", errors: {} },
  ...(flags.circuits && { circuits: { thresholds: { log10: [-3, -1], count: 3 }, variants: ["all"] } }),
};

await startBackend(backendFlag(flags.backend));
const { addon } = /** @type {any} */ (tf.backend()); // Torch has one.
const planned = await step("plan", () =>
  planSweep(
    experiments,
    { text: JSON.stringify(sweep), file: "sweep.json", baseFolder: folder },
    { backend: flags.backend, autoThreads: threads },
  ),
);
const environment = benchEnvironment(flags.backend, threads, flags.dtype);
const run = prepareRun(experiments, planned.result, { out: join(folder, "run"), environment, allowPartial: false });
const { plan, planHash, inputs } = planned.result;
const budget = WEIGHTS_SHARE * Number(flags["memory-mib"]) * 2 ** 20;
const opened = await step("open", () => loadInputs(inputs, plan, budget, dtypeFlag(flags.dtype)));
const { model } = opened.result;
const { pool } = model.model;
const programs = openPrograms(experiments);
const log = await openDirectoryLog(runPaths(run.folder).log);
for (const stage of plan.stages) {
  if (stage.task.floor === true || stage.task.kind === "validation") continue;
  if (stage.shards.length > 0) await measureStage(stage);
  await reduceStage(experiments, run.folder, stage.id);
}
say({ step: "end", peak_tensor_bytes: addon?.peakBytes(), libtorch: addon?.version(), blocks: plan.blocks });
await opened.result.close();

async function measureStage(stage) {
  forgetPages();
  const before = pool.facts();
  let units = 0;
  const { seconds, ...rest } = await step(null, async () => {
    for (const shard of stage.shards) {
      const artifact = (name) => readArtifact(run.folder, name);
      const done = await programs.run({ plan, model, artifact, onProgress: () => undefined }, stage, shard);
      units += done.units;
      await keepRecord(log, planHash, shard.id, { ...done, dtype: flags.dtype });
    }
  });
  const { loads, loadedBytes, waitedSeconds } = pool.facts();
  const waited = waitedSeconds - before.waitedSeconds;
  say({
    step: stage.id,
    shards: stage.shards.length,
    units,
    unit: programs.unitOf(stage),
    seconds,
    ...rest,
    result: undefined,
    weights_loaded: loads - before.loads,
    weights_loaded_bytes: loadedBytes - before.loadedBytes,
    waited_seconds: round(waited),
    computing_seconds: round(seconds - waited),
    units_per_second: round(units / seconds),
  });
}

/** Runs `work` with its time, processor time, bytes that came from the disk, and the peak of resident memory. */
async function step(name, work) {
  resetPeak();
  const [disk, cpu, began] = [diskBytes(), process.cpuUsage(), performance.now()];
  const result = await work();
  const { user, system } = process.cpuUsage(cpu);
  const measured = {
    seconds: round((performance.now() - began) / 1000),
    processor_seconds: round((user + system) / 1e6),
    disk_bytes: diskBytes() - disk,
    peak_rss_bytes: peakResident(),
    load: loadavg().map(round),
  };
  if (name !== null) say({ step: name, ...measured });
  return { ...measured, result };
}

function say(line) {
  console.log(JSON.stringify(line));
}

/** Takes the weights out of the page cache, so that each stage reads them from the disk. */
function forgetPages() {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) =>
    /\.(safetensors|npz)$/.test(name),
  );
  for (const name of files)
    spawnSync("dd", [`if=${join(folder, name)}`, "iflag=nocache", "count=0", "status=none"], { stdio: "ignore" });
}

/** What the kernel read from storage for this process. Linux only. */
function diskBytes() {
  return Number(/^read_bytes: (\d+)/m.exec(readFileSync("/proc/self/io", "utf8"))?.[1]);
}

/** Most resident memory since the last reset, mapped pages of files included. */
function peakResident() {
  return 1024 * Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]);
}

function resetPeak() {
  writeFileSync("/proc/self/clear_refs", "5");
}
