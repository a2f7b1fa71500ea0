/**
 * @file A plan at the seed's size, by rules and as a listing of shards: `node bench/plan/plan-bench.js`. Needs `npm run build`.
 *
 * Pairs are made up (25,269 of them, in 12 lengths), and the model's sizes are Gemma-2 2b's, so that neither weights nor a tokenizer are
 * read. Measured in one process, the rules first: making stages, writing the plan's two files and hashing them, reading and checking them
 * again. Then the same of a plan.json that lists every shard with its prompts and slots, as version 1 did.
 */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { canonicalJson, sha256 } from "../../dist/base/hash.js";
import { REGISTER } from "../../dist/experiments/registry.js";
import { SAE_SITES } from "../../dist/nodes/site.js";
import { stagesOf } from "../../dist/plan/make-plan.js";
import { shardKeys } from "../../dist/plan/shard-keys.js";
import { hashOfPlan } from "../../dist/plan/stored-plan.js";
import { createRunFolder, readPlan, runPaths } from "../../dist/run/run-folder.js";
import { sweepSchema } from "../../dist/sweep/sweep-schema.js";

const { values: flags } = parseArgs({
  options: { pairs: { type: "string", default: "25269" }, configurations: { type: "string", default: "477" } },
});
const LAYERS = 26;
const MIB = 2 ** 20;
const shape = { nLayers: LAYERS, dModel: 2304, nHeads: 8, headDim: 256, dMlp: 9216 };
const saes = Array.from({ length: LAYERS }, (_, layer) =>
  SAE_SITES.map((site) => ({ site, layer, dIn: site === "attn_z" ? 2048 : 2304, dSae: 16_384 })),
).flat();
const blocks = { prompts: 22, truthRows: 330, circuitRows: 330 };
const environment = { code: "0", backend: "wasm", device: "cpu", threads: 1, dtype: "float32", tfjs: "none" };

const folder = mkdtempSync(join(tmpdir(), "patchbay-plan-bench-"));
try {
  const byRule = measureRules();
  const listing = measureListing(byRule.plan);
  const { plan: _plan, ...rules } = byRule;
  const ratio = {
    planBytes: round(listing.mib / rules.planMib),
    allBytes: round(listing.mib / (rules.planMib + rules.promptsMib)),
    read: round(listing.seconds.read / rules.seconds.read),
  };
  console.log(JSON.stringify({ rules, listing, ratio }, null, 1));
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function measureRules() {
  const seconds = {};
  const plan = timed(seconds, "make", planOf);
  const hash = timed(seconds, "write", () => {
    createRunFolder(folder, plan);
    return hashOfPlan(plan);
  });
  const paths = runPaths(folder);
  timed(seconds, "read", () => readPlan(folder, hash));
  const shards = plan.stages.reduce((sum, stage) => sum + stage.shards.length, 0);
  const peakMib = residentMib();
  timed(seconds, "keys", () => {
    const keys = shardKeys(REGISTER.experiments, plan, environment);
    while (keys.next().done !== true);
  });
  return { shards, planMib: mib(paths.plan), promptsMib: mib(paths.planPrompts), peakMib, seconds, plan };
}

/** @param {import("../../dist/plan/plan.js").Plan} plan */
function measureListing(plan) {
  const seconds = {};
  const file = join(folder, "listing.json");
  timed(seconds, "write", () => {
    const listed = { ...plan, stages: plan.stages.map((stage) => ({ ...stage, shards: [...stage.shards] })) };
    writeFileSync(file, canonicalJson(listed));
  });
  timed(seconds, "read", () => sha256(canonicalJson(JSON.parse(readFileSync(file, "utf8")))));
  return { mib: mib(file), peakMib: residentMib(), seconds };
}

/** @returns {import("../../dist/plan/plan.js").Plan} */
function planOf() {
  const thresholds = Math.ceil(Number(flags.configurations) / 3);
  const asked = {
    name: "full-size",
    model: { path: "m" },
    saes: { path: "s" },
    dataset: { path: "d" },
    scores: ["atp", "ig"].map((name) => ({ name, method: name })),
    truth: { positions: [3, 6, -1], errors: {}, features: { top: 100, random: 100 } },
    experiments: ["all", "mlp_out", "resid_post"].map((site) => ({
      name: `on-${site}`,
      grid: { t: { log10: [-5.5, -3], count: thresholds } },
      keep: site === "all" ? { where: "score >= $t" } : { where: "score >= $t", site },
    })),
  };
  const { model: _model, saes: _saes, dataset: _dataset, engine: _engine, ...sweep } = /** @type {any} */ (sweepSchema(REGISTER.experiments).parse(asked)); // prettier-ignore
  const prompts = Array.from({ length: Number(flags.pairs) }, (_, i) => pair(i));
  const context = { shape, saes, prompts, paired: true, lengths: { longest: 18, areMixed: true } };
  const { promptBlocks, stages } = stagesOf(REGISTER.experiments, sweep, blocks, context);
  return {
    version: 2,
    sweep: { ...sweep, saes: {}, dataset: {} },
    fingerprints: { model: "a".repeat(64), saes: "b".repeat(64), dataset: "c".repeat(64) },
    shape,
    saes,
    prompts,
    promptBlocks,
    donors: null,
    engine: { threads: 1, blockMib: 1024, backend: "wasm" },
    blocks,
    nodeSlots: 0,
    stages,
  };
}

/** A pair of 7 to 18 tokens. */
function pair(i) {
  const clean = [2, ...Array.from({ length: 6 + (i % 12) }, (_, t) => (i * 7919 + t * 104_729) % 256_000)];
  const corrupted = clean.map((id, t) => (t === 3 ? (id + 1) % 256_000 : id));
  return { line: i + 1, clean, corrupted, correct: 603, incorrect: [708] };
}

function timed(seconds, part, act) {
  const start = performance.now();
  const result = act();
  seconds[part] = round((performance.now() - start) / 1000);
  return result;
}

function mib(file) {
  return round(statSync(file).size / MIB);
}

function residentMib() {
  return Math.round(process.resourceUsage().maxRSS / 1024);
}

function round(value) {
  return Number(value.toPrecision(3));
}
