// The cost model against what happens: `node bench/estimate-bench.js [--size medium] [--backend torch] [--repeats 5]`.
// Plans means, AtP and the truth of all error nodes for random prompts on a random model of the size, and computes shards in this
// process. Rates are measured anew before each stage, because machines are shared. Prints predicted over measured: time of a shard
// (median of the repeats) and peak memory. `--budget-seconds` (default 480) bounds the measuring.
import { mkdtempSync } from "node:fs";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { openSpliced } from "../dist/attribution/spliced-model.js";
import { computeTruth } from "../dist/attribution/truth.js";
import { createRunCache } from "../dist/attribution/unpatched-runs.js";
import { calibrate } from "../dist/cli/calibrate.js";
import { countWork, predict } from "../dist/cost/estimate.js";
import { expectedNodes } from "../dist/cost/expected-nodes.js";
import { blocksFor, DEFAULT_BLOCK_MIB } from "../dist/plan/blocks.js";
import { slotGroups } from "../dist/plan/node-slots.js";
import { stagesOf } from "../dist/plan/stages.js";
import { sweepSchema } from "../dist/plan/sweep.js";
import { openCheckpoint } from "../dist/weights/checkpoint.js";
import { findSaes } from "../dist/weights/sae-folder.js";
import { startBackend } from "../dist/worker/backends/wasm.js";
import { runShard } from "../dist/worker/programs.js";
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
    "budget-seconds": { type: "string", default: "480" },
  },
});
const threads = Number(flags.threads);
const CALIBRATION_MS = 4000;
process.env.OMP_NUM_THREADS = flags.threads;
process.env.OMP_WAIT_POLICY = "passive";

const folder = flags.folder ?? join(mkdtempSync(join(tmpdir(), "patchbay-estimate-")), flags.size);
await ensureCheckpoint(flags.size, folder);
await startBackend(flags.backend);
const checkpoint = await openCheckpoint(join(folder, "model"));
const entries = await findSaes(join(folder, "saes"), checkpoint.config);
const plan = makePlan(checkpoint.config, entries);
const work = countWork(plan, checkpoint.config, 1);
const model = await openSpliced(checkpoint, entries);
const nodes = expectedNodes(plan).map(({ node }) => node);
const runs = createRunCache();
const measured = plan.stages.filter(({ shards, task }) => shards.length > 0 && task.floor !== true);
const share = (1000 * Number(flags["budget-seconds"])) / measured.length;
const results = {};
let predictedPeak = 0;
for (const stage of measured) {
  const began = performance.now();
  await compute(stage, 0);
  const seconds = [];
  const ratios = [];
  while (seconds.length < Number(flags.repeats) && (seconds.length === 0 || performance.now() - began < share)) {
    const place = { backend: flags.backend, threads, workers: 1 };
    const rates = await calibrate({ products: [...work.shapes], budgetMs: CALIBRATION_MS }, place);
    const prediction = predict(work, rates, 1, threads);
    predictedPeak = Math.max(predictedPeak, prediction.stages[stage.id].peak_mib);
    const before = performance.now();
    await compute(stage, seconds.length + 1);
    seconds.push((performance.now() - before) / 1000);
    ratios.push(prediction.stages[stage.id].seconds / stage.shards.length / seconds.at(-1));
  }
  results[stage.id] = {
    seconds: round(median(seconds)),
    ratios: ratios.map(round),
    predicted_over_measured: round(median(ratios)),
  };
  console.log(stage.id, JSON.stringify(results[stage.id]));
}
const peak = process.resourceUsage().maxRSS / 1024;
const memory = {
  predicted_mib: Math.round(predictedPeak),
  measured_mib: Math.round(peak),
  predicted_over_measured: round(predictedPeak / peak),
};
const { blocks } = plan;
console.log(
  JSON.stringify({
    size: flags.size,
    backend: flags.backend,
    threads,
    load: loadavg().map(round),
    blocks,
    results,
    memory,
  }),
);
model.dispose();
await checkpoint.close();

/** Computes one shard of a stage; truth from its nodes, without the artifact that lists them. */
async function compute(stage, i) {
  const shard = stage.shards[i % stage.shards.length];
  if (stage.task.kind !== "truth")
    return runShard({ plan, model, artifact: () => "", onProgress: () => undefined, runs }, stage, shard);
  const [start, end] = shard.slots;
  const prompts = shard.prompts.map((index) => plan.prompts[index]);
  const rows = stage.task.rowsPerBlock;
  return computeTruth(model, prompts, "max", nodes.slice(start, end), rows, undefined, runs);
}

function makePlan(config, entries) {
  const sweep = sweepSchema.parse({
    name: "estimate",
    model: { path: "model" },
    saes: { path: "saes" },
    dataset: { path: "none" },
    scores: [{ name: "atp", method: "atp" }],
    means: true,
    truth: { positions: "all", errors: {} },
  });
  const { nLayers, dModel, nHeads, headDim } = config;
  const shape = { nLayers, dModel, nHeads, headDim };
  const saes = entries.map(({ site, layer, dIn, dSae }) => ({ site, layer, dIn, dSae }));
  const blocks = blocksFor({ config, dSae: SIZES[flags.size].features, positions: TOKENS }, DEFAULT_BLOCK_MIB);
  const prompts = randomPrompts(2 * blocks.prompts, SIZES[flags.size].vocabulary);
  const slots = slotGroups({ truth: sweep.truth, shape, saes, lengths: [TOKENS] });
  const stages = stagesOf({ sweep, prompts, blocks, slots });
  const engine = { threads, blockMib: DEFAULT_BLOCK_MIB, backend: flags.backend };
  return { version: 1, sweep: { ...sweep, saes: {} }, shape, saes, prompts, donors: null, engine, blocks, stages };
}
