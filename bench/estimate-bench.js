// The cost model against what happens: `node bench/estimate-bench.js [--size medium] [--backend torch] [--repeats 5] [--name NAME]`.
// Plans means, AtP, the truth of all error nodes and circuits of 10 to 10,000 nodes for a block of random prompts on a random model of
// the size, and computes every stage whole in this process. Programs are probed anew before each turn, because machines are shared. Prints
// predicted over measured: seconds of a stage (median of the repeats) and peak memory. `--budget-seconds` (default 480) bounds the measuring.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { openSpliced } from "../dist/passes/spliced-model.js";
import { createRunCache } from "../dist/experiments/truth/unpatched-runs.js";
import { NODE_MAJOR } from "../dist/base/environment.js";
import { canonicalJson, sha256 } from "../dist/base/hash.js";
import { CALIBRATION_MS, estimateRun } from "../dist/cli/estimate.js";
import { readArtifact } from "../dist/run/artifacts.js";
import { blocksFor, DEFAULT_BLOCK_MIB } from "../dist/plan/blocks.js";
import { prepareRun } from "../dist/run/prepare-run.js";
import { slotGroups } from "../dist/plan/node-slots.js";
import { runPaths } from "../dist/run/run-folder.js";
import { stagesOf } from "../dist/plan/stages.js";
import { sweepSchema } from "../dist/sweep/sweep.js";
import { reduceStage } from "../dist/artifacts/reduce-stage.js";
import { readScoreMeans } from "../dist/experiments/scores/scores-artifact.js";
import { openDirectoryLog } from "../dist/runlog/directory-log.js";
import { openCheckpoint } from "../dist/weights/checkpoint.js";
import { findSaes } from "../dist/weights/sae-folder.js";
import { startBackend } from "../dist/backends/start-backend.js";
import { runShard } from "../dist/engine/programs.js";
import { ensureCheckpoint, TOKENS } from "./engine-tasks.js";
import { median, round } from "./figures.js";
import { randomPrompts, SIZES } from "./make-checkpoint.js";

const { values: flags } = parseArgs({
  options: {
    size: { type: "string", default: "medium" },
    backend: { type: "string", default: "torch" },
    threads: { type: "string", default: String(availableParallelism()) },
    repeats: { type: "string", default: "5" },
    folder: { type: "string" },
    name: { type: "string" },
    "budget-seconds": { type: "string", default: "480" },
  },
});
const threads = Number(flags.threads);
/** Node counts of the circuits. */
const CIRCUIT_NODES = [10, 100, 1000, 10_000];
process.env.OMP_NUM_THREADS = flags.threads;
process.env.OMP_WAIT_POLICY = "passive";

const scratch = mkdtempSync(join(tmpdir(), "patchbay-estimate-"));
const folder = flags.folder ?? join(scratch, flags.size);
await ensureCheckpoint(flags.size, folder);
await startBackend(flags.backend);
const checkpoint = await openCheckpoint(join(folder, "model"));
const entries = await findSaes(join(folder, "saes"), checkpoint.config);
const model = await openSpliced(checkpoint, entries);
const runs = createRunCache();
const { plan: first, run } = planRun([1]);
const log = await openDirectoryLog(run.log);
for (const { id } of first.stages.filter(({ task }) => ["means", "scores", "nodes"].includes(task.kind)))
  await finish(id);
const { plan } = planRun(await thresholds());
const planned = { plan, inputs: { model: join(folder, "model"), saes: join(folder, "saes"), saeOptions: {} } };
const measured = plan.stages.filter(({ shards, task }) => shards.length > 0 && task.floor !== true);
const share = (1000 * Number(flags["budget-seconds"])) / measured.length;
const results = {};
let predictedPeak = 0;
for (const stage of measured) {
  const began = performance.now();
  await compute(stage);
  const turns = [];
  while (turns.length < Number(flags.repeats) && (turns.length === 0 || performance.now() - began < share)) {
    const prediction = await estimateRun(planned, { backend: flags.backend, threads, workers: 1 }, CALIBRATION_MS);
    const predicted = prediction.stages[stage.id];
    predictedPeak = Math.max(predictedPeak, predicted.peak_mib);
    const before = performance.now();
    await compute(stage);
    turns.push({ seconds: (performance.now() - before) / 1000, predicted });
  }
  const ratios = turns.map(({ seconds, predicted }) => predicted.seconds / seconds);
  results[stage.id] = {
    seconds: round(median(turns.map(({ seconds }) => seconds))),
    ratios: ratios.map(round),
    predicted_over_measured: round(median(ratios)),
    predicted_by_part: Object.fromEntries(
      Object.entries(turns.at(-1).predicted.seconds_by_part).map(([part, seconds]) => [part, round(seconds)]),
    ),
  };
  console.log(stage.id, JSON.stringify(results[stage.id]));
}
const peak = process.resourceUsage().maxRSS / 1024;
const memory = {
  predicted_mib: Math.round(predictedPeak),
  measured_mib: Math.round(peak),
  predicted_over_measured: round(predictedPeak / peak),
};
const { size, backend } = flags;
const found = { size, backend, threads, load: loadavg().map(round), blocks: plan.blocks, results, memory };
console.log(JSON.stringify({ memory, load: found.load }));
if (flags.name !== undefined) {
  const target = fileURLToPath(new URL(`results/${flags.name}.json`, import.meta.url));
  writeFileSync(target, `${JSON.stringify(found, null, 1)}\n`);
}
runs.dispose();
model.dispose();
await log.close();
await checkpoint.close();
rmSync(scratch, { recursive: true });

function artifact(name) {
  return readArtifact(run.folder, name);
}

/** Computes a stage whole; `keep` takes each shard's outcome. */
async function compute(stage, from = plan, keep = () => undefined) {
  runs.dispose();
  const inputs = { plan: from, model, artifact, onProgress: () => undefined, runs };
  for (const shard of stage.shards) await keep(shard, await runShard(inputs, stage, shard));
}

/** Computes a stage of the first plan and writes its artifacts. */
async function finish(id) {
  const stage = first.stages.find((one) => one.id === id);
  await compute(stage, first, async (shard, { payload, count }) => {
    const envelope = { version: 1, planHash: run.hash, shard: shard.id, attempt: 0, epoch: 0, worker: "bench" };
    const rest = { environment: "bench", dtype: "float32", count, sha256: sha256(payload), seconds: 0, units: {} };
    await log.append({ ...envelope, ...rest }, payload);
  });
  await reduceStage(run.folder, id);
}

/** Thresholds at which circuits have the node counts. */
async function thresholds() {
  const { features, errors } = await readScoreMeans(artifact, "atp");
  const all = [...features.values(), ...errors.values()].flatMap((scores) => [...scores]);
  const sizes = Float64Array.from(all, Math.abs).sort().reverse();
  return CIRCUIT_NODES.map((count) => sizes[Math.min(count, sizes.length) - 1]);
}

function planRun(thresholds) {
  const { config } = checkpoint;
  const sweep = sweepSchema.parse({
    name: "estimate",
    model: { path: "model" },
    saes: { path: "saes" },
    dataset: { path: "none" },
    scores: [{ name: "atp", method: "atp" }],
    means: true,
    truth: { positions: "all", errors: {} },
    circuits: { thresholds, completeness: false },
  });
  const { nLayers, dModel, nHeads, headDim } = config;
  const shape = { nLayers, dModel, nHeads, headDim };
  const saes = entries.map(({ site, layer, dIn, dSae }) => ({ site, layer, dIn, dSae }));
  const blocks = blocksFor({ config, dSae: SIZES[flags.size].features, positions: TOKENS }, DEFAULT_BLOCK_MIB);
  const prompts = randomPrompts(blocks.prompts, SIZES[flags.size].vocabulary);
  const slots = slotGroups({ truth: sweep.truth, shape, saes, lengths: [TOKENS] });
  const stages = stagesOf({ sweep, prompts, blocks, slots });
  const engine = { threads, blockMib: DEFAULT_BLOCK_MIB, backend: flags.backend };
  const fingerprints = { model: "", saes: "", dataset: "" };
  const rest = { version: 1, sweep: { ...sweep, saes: {} }, fingerprints, shape, saes, prompts, donors: null };
  const plan = { ...rest, engine, blocks, nodeSlots: 0, stages };
  return { plan, run: prepare(plan) };
}

/** The folder of a run: its paths, and the hash of its plan. */
function prepare(plan) {
  const hash = sha256(canonicalJson(plan));
  const out = join(scratch, hash.slice(0, 8));
  const environment = {
    code: "bench",
    backend: flags.backend,
    device: "cpu",
    threads,
    dtype: "float32",
    node: NODE_MAJOR,
    tfjs: "bench",
  };
  const inputs = { model: "", saes: null, dataset: "", saeOptions: {} };
  const { folder: made } = prepareRun(
    { plan, planHash: hash, inputs, dropped: [] },
    { out, environment, allowPartial: false },
  );
  return { folder: made, hash, ...runPaths(made) };
}
