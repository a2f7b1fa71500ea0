/**
 * @file Rates of the engine's programs on a random model of a named size, on one backend, in this process:
 * `node bench/engine/torch-bench.js --backend torch --size medium --threads 2 [--dtype bfloat16] [--folder FOLDER] [--name NAME] [--profile]`.
 * Every rate stands beside the matrix-product rate measured just before and after it: machines are shared and noisy.
 */
import { mkdtempSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import * as tf from "@tensorflow/tfjs-core";
import { startBackend } from "../../dist/backends/start-backend.js";
import { backendFlag, dtypeFlag, oneOf } from "../bench-run.js";
import { BLOCK_MIB, ensureCheckpoint, openTasks, TOKENS } from "./engine-tasks.js";
import { median, round } from "../figures.js";
import { SIZES } from "../models/make-checkpoint.js";
import { machineFacts, RESULTS_OPTION, writeResults } from "../results.js";
import { watchKernels } from "./watch-kernels.js";

const { values: flags } = parseArgs({
  options: {
    backend: { type: "string", default: "torch" },
    size: { type: "string", default: "medium" },
    dtype: { type: "string", default: "float32" },
    threads: { type: "string", default: String(availableParallelism()) },
    repeats: { type: "string", default: "3" },
    folder: { type: "string" },
    name: { type: "string" },
    only: { type: "string" },
    profile: { type: "boolean", default: false },
    results: RESULTS_OPTION,
  },
});

process.env["OMP_NUM_THREADS"] = flags.threads;
process.env["OMP_WAIT_POLICY"] = "passive";
const folder = flags.folder ?? join(mkdtempSync(join(tmpdir(), "patchbay-bench-")), flags.size);
await ensureCheckpoint(flags.size, folder);
await startBackend(backendFlag(flags.backend));
const watched = flags.profile ? watchKernels(flags.backend) : null;
const loaded = performance.now();
const { blocks, tasks, close } = await openTasks(flags.size, folder, dtypeFlag(flags.dtype));
const loadSeconds = (performance.now() - loaded) / 1000;

if (flags.only !== undefined) oneOf("--only", Object.keys(tasks), flags.only);

/** GFLOP/s of products of the shapes that the model's layers use. */
function gemmRates() {
  const { width, mlp } = SIZES[flags.size];
  const shapes = { square: [512, 512, 512], layer: [5 * blocks.prompts, width, mlp] };
  return Object.fromEntries(
    Object.entries(shapes).map(([name, [m, k, n]]) => {
      const [a, b] = [tf.ones([m, k]), tf.ones([k, n])];
      const seconds = Array.from({ length: 7 }, () => timed(() => tf.tidy(() => void tf.matMul(a, b).dataSync())));
      tf.dispose([a, b]);
      return [name, round((2 * m * k * n) / (median(seconds) * 1e9))];
    }),
  );
}

function timed(action) {
  const began = performance.now();
  action();
  return (performance.now() - began) / 1000;
}

/** How much of the task's processor time its matrix products would take at the rate that each shape has by itself. */
function roofline({ products }, cpuSeconds) {
  let [gflop, ideal] = [0, 0];
  for (const [key, count] of products) {
    const [batch, m, k, n] = key.split(" ").map(Number);
    const one = (2 * batch * m * k * n) / 1e9;
    gflop += one * count;
    ideal += count * cpuSecondsOfProduct([batch, m, k], [batch, k, n]);
  }
  return {
    gflop: round(gflop),
    gflops_per_processor: round(gflop / cpuSeconds),
    share_of_product_rate: round(ideal / cpuSeconds),
  };
}

/** Least of three measurements: what is asked for is the rate that the shape can reach. */
function cpuSecondsOfProduct(left, right) {
  const [a, b] = [tf.ones(left), tf.ones(right)].map((x) => (left[0] === 1 ? tf.squeeze(x, [0]) : x));
  const repeats = Math.max(1, Math.min(50, Math.round(2e8 / (left[0] * left[1] * left[2] * right[2]))));
  const once = () => {
    const before = process.cpuUsage();
    for (let i = 0; i < repeats; i++) tf.tidy(() => void tf.matMul(a, b));
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1e6 / repeats;
  };
  once();
  const seconds = Math.min(once(), once(), once());
  tf.dispose([a, b]);
  return seconds;
}

/** Where the time of a task went: kernels by share, and what is left for JavaScript. */
function profileOf({ kernels: found }, seconds) {
  const share = (ms) => round(ms / (10 * seconds));
  const kernels = [...found].filter(([, { calls }]) => calls > 0).sort(([, a], [, b]) => b.ms - a.ms);
  const inside = kernels.reduce((sum, [, { ms }]) => sum + ms, 0);
  const profile = Object.fromEntries(
    kernels.slice(0, 12).map(([name, { calls, ms }]) => [name, { percent: share(ms), calls }]),
  );
  return { outside_kernels_percent: round(100 - share(inside)), ...profile };
}

const rates = {};
for (const [name, [unit, run]] of Object.entries(tasks)) {
  if (flags.only !== undefined && flags.only !== name) continue;
  await run();
  const before = gemmRates();
  watched?.reset();
  const measured = [];
  let total = 0;
  const cpuBefore = process.cpuUsage();
  for (let i = 0; i < Number(flags.repeats); i++) {
    const began = performance.now();
    const { units } = await run();
    const seconds = (performance.now() - began) / 1000;
    total += seconds;
    measured.push(units / seconds);
  }
  const { user, system } = process.cpuUsage(cpuBefore);
  const cpuSeconds = (user + system) / 1e6;
  const profile =
    watched === null ? {} : { profile: profileOf(watched, total), roofline: roofline(watched, cpuSeconds) };
  rates[name] = {
    rate: round(median(measured)),
    best: round(Math.max(...measured)),
    unit,
    processor_seconds: round(cpuSeconds / Number(flags.repeats)),
    gemm_gflops: [before, gemmRates()],
    ...profile,
  };
  console.log(name, JSON.stringify(rates[name]));
}
const results = {
  machine: machineFacts(),
  backend: flags.backend,
  dtype: flags.dtype,
  threads: Number(flags.threads),
  size: { name: flags.size, ...SIZES[flags.size], tokens: TOKENS, block_mib: BLOCK_MIB, blocks },
  load_seconds: round(loadSeconds),
  peak_rss_gib: round(process.resourceUsage().maxRSS / 2 ** 20),
  rates,
};
if (flags.name !== undefined) writeResults(flags.results, flags.name, results);
await close();
