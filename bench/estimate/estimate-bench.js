/**
 * @file The cost model against what happens: `node bench/estimate/estimate-bench.js [--size medium] [--backend torch] [--repeats 5] [--name NAME]`.
 * Plans means, AtP, the truth of all error nodes and circuits of 10 to 10,000 nodes for a block of random prompts on a random model of
 * the size, and computes every stage whole in this process. Programs are probed anew before each turn, because machines are shared. Prints
 * predicted over measured: seconds of a stage (median of the repeats) and peak memory. `--budget-seconds` (default 480) bounds the measuring.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { openSpliced } from "../../dist/passes/spliced-model.js";
import { hashOfPlan } from "../../dist/plan/stored-plan.js";
import { CALIBRATION_MS, estimateRun, workOf } from "../../dist/cli/estimate.js";
import { readArtifact } from "../../dist/run/artifacts.js";
import { blocksFor, DEFAULT_BLOCK_MIB } from "../../dist/plan/blocks.js";
import { prepareRun } from "../../dist/artifacts/prepare-run.js";
import { runPaths } from "../../dist/run/run-folder.js";
import { stagesOf } from "../../dist/plan/make-plan.js";
import { tokenCounts } from "../../dist/plan/held-out.js";
import { sweepSchema } from "../../dist/sweep/sweep-schema.js";
import { reduceStage } from "../../dist/artifacts/reduce-stage.js";
import { readScoreMeans } from "../../dist/artifacts/scores-file.js";
import { openDirectoryLog } from "../../dist/runlog/directory-log.js";
import { openCheckpoint } from "../../dist/weights/checkpoint.js";
import { findSaes } from "../../dist/weights/sae-folder.js";
import { startBackend } from "../../dist/backends/start-backend.js";
import { openPrograms } from "../../dist/engine/programs.js";
import { REGISTER } from "../../dist/experiments/registry.js";
import { backendFlag, benchEnvironment, keepRecord } from "../bench-run.js";
import { ensureCheckpoint, TOKENS } from "../engine/engine-tasks.js";
import { median, round } from "../figures.js";
import { randomPrompts, SIZES } from "../models/make-checkpoint.js";
import { machineFacts, RESULTS_OPTION, writeResults } from "../results.js";

const { values: flags } = parseArgs({
  options: {
    size: { type: "string", default: "medium" },
    backend: { type: "string", default: "torch" },
    threads: { type: "string", default: String(availableParallelism()) },
    repeats: { type: "string", default: "5" },
    folder: { type: "string" },
    name: { type: "string" },
    results: RESULTS_OPTION,
    "budget-seconds": { type: "string", default: "480" },
  },
});
const threads = Number(flags.threads);
/** Node counts of the circuits. */
const CIRCUIT_NODES = [10, 100, 1000, 10_000];
process.env["OMP_NUM_THREADS"] = flags.threads;
process.env["OMP_WAIT_POLICY"] = "passive";

const scratch = mkdtempSync(join(tmpdir(), "patchbay-estimate-"));
const folder = flags.folder ?? join(scratch, flags.size);
await ensureCheckpoint(flags.size, folder);
await startBackend(backendFlag(flags.backend));
const checkpoint = await openCheckpoint(join(folder, "model"));
const entries = await findSaes(join(folder, "saes"), checkpoint.config);
const model = await openSpliced(checkpoint, entries);
const { experiments } = REGISTER;
const programs = openPrograms(experiments);
const { plan: first, run } = planRun([1]);
const log = await openDirectoryLog(run.log);
for (const { id } of first.stages.filter(({ task }) => ["means", "scores", "nodes"].includes(task.kind)))
  await finish(id);
const { plan } = planRun(await thresholds());
const inputs = { model: join(folder, "model"), saes: join(folder, "saes"), dataset: "none", saeOptions: {} };
const planned = { plan, planHash: "", dropped: [], texts: [], borrowed: [], filteredBy: [], inputs };
const measured = plan.stages.filter(({ shards, task }) => shards.length > 0 && !("floor" in task && task.floor));
const share = (1000 * Number(flags["budget-seconds"])) / measured.length;
const results = {};
let predictedPeak = 0;
for (const stage of measured) {
  const began = performance.now();
  await compute(stage);
  const place = { backend: flags.backend, threads, workers: 1 };
  const turns = [];
  while (turns.length < Number(flags.repeats) && (turns.length === 0 || performance.now() - began < share)) {
    const work = workOf(experiments, planned, place);
    const prediction = await estimateRun(experiments, { ...planned, work }, place, CALIBRATION_MS);
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
const found = { size, backend, threads, machine: machineFacts(), blocks: plan.blocks, results, memory };
console.log(JSON.stringify({ memory, load: found.machine.load }));
if (flags.name !== undefined) writeResults(flags.results, flags.name, found);
await releasePrograms();
model.dispose();
await log.close();
await checkpoint.close();
rmSync(scratch, { recursive: true });

function artifact(name) {
  return readArtifact(run.folder, name);
}

/**
 * Computes a stage whole; `keep` takes each shard's outcome.
 * @param {(shard: any, outcome: any) => Promise<void>} keep
 */
async function compute(stage, from = plan, keep = () => Promise.resolve()) {
  await releasePrograms();
  const inputs = { plan: from, model, artifact, onProgress: () => undefined };
  for (const shard of stage.shards) await keep(shard, await programs.run(inputs, stage, shard));
}

/** Each measurement begins with nothing kept. */
async function releasePrograms() {
  (await programs.open({ kind: "truth" })).release?.();
}

/** Computes a stage of the first plan and writes its artifacts. */
async function finish(id) {
  const stage = first.stages.find((one) => one.id === id);
  await compute(stage, first, (shard, outcome) => keepRecord(log, run.hash, shard.id, outcome));
  await reduceStage(experiments, run.folder, id);
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
  const sweep = sweepSchema(experiments).parse({
    name: "estimate",
    model: { path: "model" },
    saes: { path: "saes" },
    dataset: { path: "none" },
    scores: [{ name: "atp", method: "atp" }],
    means: true,
    truth: { positions: "all", errors: {} },
    circuits: { thresholds, completeness: false },
  });
  const { nLayers, dModel, nHeads, headDim, dMlp } = config;
  const shape = { nLayers, dModel, nHeads, headDim, dMlp };
  const saes = entries.map(({ site, layer, dIn, dSae }) => ({ site, layer, dIn, dSae }));
  const blocks = blocksFor({ config, dSae: SIZES[flags.size].features, positions: TOKENS }, DEFAULT_BLOCK_MIB);
  const prompts = randomPrompts(blocks.prompts, SIZES[flags.size].vocabulary);
  const stages = stagesOf(experiments, sweep, blocks, {
    shape,
    saes,
    prompts,
    paired: true,
    lengths: tokenCounts({ prompts }),
  });
  const engine = { threads, blockMib: DEFAULT_BLOCK_MIB, backend: flags.backend };
  const fingerprints = { model: "", saes: "", dataset: "" };
  const rest = { sweep: { ...sweep, saes: {} }, fingerprints, shape, saes, prompts, donors: null };
  /** What programs and the cost model read of a plan: its files and dataset are not there. */
  const plan = /** @type {any} */ ({ version: 1, ...rest, engine, blocks, nodeSlots: 0, stages });
  return { plan, run: prepare(plan) };
}

/** The folder of a run: its paths, and the hash of its plan. */
function prepare(plan) {
  const hash = hashOfPlan(plan);
  const out = join(scratch, hash.slice(0, 8));
  const environment = benchEnvironment(flags.backend, threads);
  const inputs = { model: "", saes: null, dataset: "", saeOptions: {} };
  const { folder: made } = prepareRun(
    experiments,
    { plan, planHash: hash, inputs, dropped: [], texts: plan.prompts.map(tokensAsText), borrowed: [], filteredBy: [] },
    { out, environment, allowPartial: false },
  );
  return { folder: made, hash, ...runPaths(made) };
}

/** Random tokens have no words. */
function tokensAsText({ clean, corrupted }) {
  const side = (ids) => ({ text: ids.join(" "), tokens: ids.map(String) });
  return { file: "random", clean: side(clean), corrupted: side(corrupted), correct: "", incorrect: [] };
}
