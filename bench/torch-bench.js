// Rates of the engine's programs on a random model of a named size, on one backend, in this process:
// `node bench/torch-bench.js --backend torch --size medium --threads 2 [--folder FOLDER] [--name NAME] [--profile]`.
// Every rate stands beside the matrix-product rate measured just before and after it: machines are shared and noisy.
import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import * as tf from "@tensorflow/tfjs-core";
import { computeCircuits } from "../dist/attribution/circuits.js";
import { computeMeans } from "../dist/attribution/means.js";
import { computeScores } from "../dist/attribution/scores.js";
import { spliceModel } from "../dist/attribution/spliced-model.js";
import { computeTruth } from "../dist/attribution/truth.js";
import { siteHook } from "../dist/circuit/site.js";
import { blocksFor } from "../dist/plan/blocks.js";
import { loadModel } from "../dist/model/model.js";
import { loadSae } from "../dist/sae/sae.js";
import { startBackend } from "../dist/worker/backends/wasm.js";
import { openCheckpoint } from "../dist/weights/checkpoint.js";
import { findSaes, readSae } from "../dist/weights/sae-folder.js";
import { makeCheckpoint, randomPrompts, SIZES } from "./make-checkpoint.js";

const { values: flags } = parseArgs({
  options: {
    backend: { type: "string", default: "torch" },
    size: { type: "string", default: "medium" },
    threads: { type: "string", default: String(availableParallelism()) },
    repeats: { type: "string", default: "3" },
    folder: { type: "string" },
    name: { type: "string" },
    only: { type: "string" },
    profile: { type: "boolean", default: false },
  },
});

const TOKENS = 7;
const BLOCK_MIB = 256;

process.env["OMP_NUM_THREADS"] = flags.threads;
const folder = flags.folder ?? mkdtempSync(join(tmpdir(), "patchbay-bench-"));
if (!existsSync(join(folder, "saes"))) await makeCheckpoint(flags.size, folder);
await startBackend(flags.backend);
const times = flags.profile ? timeKernels() : null;
const loaded = performance.now();
const checkpoint = await openCheckpoint(join(folder, "model"));
const model = await loadModel(checkpoint);
const placed = [];
for (const entry of await findSaes(join(folder, "saes"), model.config))
  placed.push({ site: entry.site, layer: entry.layer, sae: loadSae(await readSae(entry)) });
const spliced = spliceModel(model, placed);
const loadSeconds = (performance.now() - loaded) / 1000;
const blocks = blocksFor(model.config, TOKENS, SIZES[flags.size].features, BLOCK_MIB);
const prompts = randomPrompts(blocks.prompts, SIZES[flags.size].vocabulary);

const at = { head: -1, feature: -1 };
const positions = Array.from({ length: TOKENS - 2 }, (_, i) => i + 2);
const errorNodes = placed.flatMap(({ site, layer }) =>
  positions.map((position) => ({ kind: "error", site, layer, position, ...at })),
);

const TASKS = {
  means: ["prompt rows/s", async () => (await computeMeans(spliced, prompts, "max"), 2 * prompts.length)],
  atp: [
    "prompts/s",
    async () => (await computeScores(spliced, prompts, "max", { name: "atp", method: "atp" }), prompts.length),
  ],
  "truth, error nodes": ["node-prompts/s", async () => ranOf(await truth(errorNodes))],
  "truth, feature nodes": ["node-prompts/s", async () => ranOf(await truth(await featureNodes()))],
  circuits: ["circuit x prompt rows/s", async () => await circuits()],
};

const truth = (nodes) => computeTruth(spliced, prompts, "max", nodes, blocks.truthRows);
const ranOf = ({ ran }) => ran.reduce((sum, one) => sum + one, 0);

/** Features that change on some prompt: the ones with the largest scores at each site. */
let chosen = null;
async function featureNodes() {
  if (chosen !== null) return chosen;
  const scores = await computeScores(spliced, prompts, "max", { name: "atp", method: "atp" });
  chosen = placed.flatMap(({ site, layer, sae }) => {
    const { pointer, index } = scores.features.get(siteHook({ site, layer }));
    const mine = [...index.subarray(pointer[0], pointer[1])].filter((_, i) => i % 7 === 0).slice(0, 24);
    return mine.map((flat) => {
      const [position, feature] = [Math.floor(flat / sae.dSae), flat % sae.dSae];
      return { kind: "feature", site, layer, position, head: -1, feature };
    });
  });
  return chosen;
}

/** Circuits that keep 1, 2, 3 and more in a thousand features and some errors, the rest set to zero. */
async function circuits() {
  const interventions = [0.001, 0.003, 0.01, 0.03].map((kept, c) => {
    const entries = placed.map(({ site, layer, sae }, s) => {
      const ablated = (i) => (((i + 1) * 2654435761 + 97 * s + c) >>> 0) / 4294967296 >= kept;
      const features = Uint8Array.from({ length: TOKENS * sae.dSae }, (_, i) => (ablated(i) ? 1 : 0));
      return [siteHook({ site, layer }), { features, errors: new Uint8Array(TOKENS).fill(1) }];
    });
    return new Map(entries);
  });
  await computeCircuits(spliced, prompts, "max", interventions, { kind: "zero" }, blocks.circuitRows);
  return interventions.length * 2 * prompts.length;
}

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

/** Times every kernel of the backend: adds a few hundred nanoseconds to each. */
function timeKernels() {
  const found = new Map();
  for (const stock of tf.getKernelsForBackend(flags.backend)) {
    tf.unregisterKernel(stock.kernelName, flags.backend);
    const spent = { calls: 0, ms: 0 };
    found.set(stock.kernelName, spent);
    const kernelFunc = (args) => {
      const began = performance.now();
      try {
        return stock.kernelFunc(args);
      } finally {
        spent.ms += performance.now() - began;
        spent.calls += 1;
      }
    };
    tf.registerKernel({ ...stock, kernelFunc });
  }
  return found;
}

/** Where the time of a task went: kernels by share, and what is left for JavaScript. */
function takeProfile(seconds) {
  const share = (ms) => round(ms / (10 * seconds));
  const kernels = [...times].filter(([, { calls }]) => calls > 0).sort(([, a], [, b]) => b.ms - a.ms);
  const inside = kernels.reduce((sum, [, { ms }]) => sum + ms, 0);
  const profile = Object.fromEntries(
    kernels.slice(0, 12).map(([name, { calls, ms }]) => [name, { percent: share(ms), calls }]),
  );
  for (const one of times.values()) Object.assign(one, { calls: 0, ms: 0 });
  return { outside_kernels_percent: round(100 - share(inside)), ...profile };
}

const rates = {};
for (const [name, [unit, run]] of Object.entries(TASKS)) {
  if (flags.only !== undefined && flags.only !== name) continue;
  await run();
  times?.forEach((one) => Object.assign(one, { calls: 0, ms: 0 }));
  const before = gemmRates();
  times?.forEach((one) => Object.assign(one, { calls: 0, ms: 0 }));
  const measured = [];
  let total = 0;
  for (let i = 0; i < Number(flags.repeats); i++) {
    const began = performance.now();
    const units = await run();
    const seconds = (performance.now() - began) / 1000;
    total += seconds;
    measured.push(units / seconds);
  }
  const profile = times === null ? {} : { profile: takeProfile(total) };
  rates[name] = {
    rate: round(median(measured)),
    best: round(Math.max(...measured)),
    unit,
    gemm_gflops: [before, gemmRates()],
    ...profile,
  };
  console.log(name, JSON.stringify(rates[name]));
}
const results = {
  machine: {
    processor: cpus()[0]?.model,
    cores: availableParallelism(),
    load: loadavg().map(round),
    node: process.version,
  },
  backend: flags.backend,
  threads: Number(flags.threads),
  size: { name: flags.size, ...SIZES[flags.size], tokens: TOKENS, block_mib: BLOCK_MIB, blocks },
  load_seconds: round(loadSeconds),
  peak_rss_gib: round(process.resourceUsage().maxRSS / 2 ** 20),
  rates,
};
if (flags.name !== undefined) {
  const target = fileURLToPath(new URL("results", import.meta.url));
  mkdirSync(target, { recursive: true });
  writeFileSync(join(target, `${flags.name}.json`), `${JSON.stringify(results, null, 1)}\n`);
}
spliced.dispose();
await checkpoint.close();

function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

function round(value) {
  return Number(value.toPrecision(3));
}
