/** @file A run folder of very many nodes, of seeded random numbers, written by the product's own writers. */
import { encodePrompts } from "../../dist/artifacts/prompts-file.js";
import { createRng } from "../../dist/base/rng.js";
import { encodeNodeMeans, encodeTruthRows } from "../../dist/experiments/truth/truth-artifact.js";
import { validationStatistics } from "../../dist/experiments/truth/validation-artifact.js";
import { SAE_SITES } from "../../dist/nodes/site.js";
import { writeArtifact } from "../../dist/run/artifacts.js";
import { hashOfPlan } from "../../dist/plan/stored-plan.js";
import { createRunFolder, writeRunFile } from "../../dist/run/run-folder.js";
import { FEATURES, LAYERS, planWithoutFiles } from "../models/plan-without-files.js";

const [PROMPTS, RESAMPLES] = [24, 20];
const WORDS = ["<bos>", "The", " girl", " that", " the", " boys", " near", " the", " old", " car"];
const SCORES = ["atp", "ig"];

/** Writes it. @param {string} folder @param {number} count - of nodes. */
export async function writeLargeRun(folder, count) {
  const plan = planOf();
  createRunFolder(folder, plan);
  const table = tableOf(count);
  const environment = { code: "0", backend: "wasm", device: "cpu", threads: 1, dtype: "float32", tfjs: "none" };
  const provenance = { plan, planHash: "0", environment, missingPrompts: [] };
  const side = { text: WORDS.slice(1).join(""), tokens: WORDS };
  const text = { file: "pairs.jsonl", clean: side, corrupted: side, correct: " is", incorrect: [" are"] };
  writeArtifact(folder, "prompts.parquet", encodePrompts(provenance, plan.prompts.map(() => text))); // prettier-ignore
  writeArtifact(folder, "truth.parquet", encodeTruthRows(table, [], provenance));
  writeArtifact(folder, "validation.parquet", encodeNodeMeans(table, provenance));
  const statistics = { ...validationStatistics(plan, table, RESAMPLES), reliability: [] };
  writeArtifact(folder, "validation.json", Buffer.from(JSON.stringify(statistics)));
  writeRunFile(folder, runFileOf(hashOfPlan(plan), environment));
}

/** @returns {import("../../dist/plan/plan.js").Plan} */
function planOf() {
  const ids = WORDS.map((_, i) => i + 2);
  const prompt = { clean: ids, corrupted: [ids[0], 99, ...ids.slice(2)], correct: 10, incorrect: [11] };
  return {
    ...planWithoutFiles("very-many-nodes", SCORES),
    prompts: Array.from({ length: PROMPTS }, (_, i) => ({ line: i + 1, ...prompt })),
    promptBlocks: [],
    blocks: { prompts: 8, truthRows: 32, circuitRows: 32 },
    nodeSlots: 0,
    stages: [],
  };
}

/** Effects whose sizes spread over decades, and scores near them. @returns {import("../../dist/experiments/truth/truth-table.js").TruthTable} */
function tableOf(count) {
  const rng = createRng(1, "large run");
  const [places, positions] = [LAYERS * SAE_SITES.length, WORDS.length - 1];
  const errors = places * positions;
  const nodes = Array.from({ length: count }, (_, slot) => {
    const place = slot % places;
    const at = { site: SAE_SITES[place % SAE_SITES.length], layer: Math.floor(place / SAE_SITES.length) };
    const position = 1 + (Math.floor(slot / places) % positions);
    const shared = { ...at, position, slot, stratum: "all", inclusionProbability: 1 };
    return slot < errors ? { ...shared, kind: "error" } : { ...shared, kind: "feature", feature: rng.int(FEATURES) };
  });
  const sizes = nodes.map(() => 0.05 * Math.exp(1.5 * rng.normal()) * Math.sign(rng.normal()));
  const values = (spread) => Float64Array.from({ length: PROMPTS * count }, (_, i) => sizes[i % count] * (1 + spread * rng.normal())); // prettier-ignore
  const effects = values(0.5);
  return {
    nodes: /** @type {import("../../dist/experiments/truth/node-table.js").ListedNode[]} */ (nodes),
    prompts: PROMPTS,
    metricClean: new Float64Array(PROMPTS).fill(-2),
    metricCorrupted: new Float64Array(PROMPTS).fill(2),
    metricPatched: effects.map((effect) => effect - 2),
    present: new Uint8Array(effects.length).fill(1),
    ran: new Uint8Array(effects.length).fill(1),
    scores: new Map(SCORES.map((name, s) => [name, values(0.3 + s)])),
  };
}

function runFileOf(planHash, environment) {
  const inputs = { model: "models/large", saes: "models/large/saes", dataset: "pairs.jsonl", saeOptions: {} };
  return /** @type {any} */ ({
    version: 1,
    name: "very-many-nodes",
    status: "complete",
    reason: "every shard is done",
    plan_hash: planHash,
    sweep: {},
    inputs,
    fingerprints: { ...environment, model: "a".repeat(64), saes: "b".repeat(64), dataset: "c".repeat(64) },
    counts: { prompts: PROMPTS, dropped: 0, shards: 1, done: 1, quarantined: 0, retries: 0, workers: 1 },
    quarantined: [],
    timings: {},
    weight_loading_seconds: 0,
    warnings: [],
    allow_partial: false,
    started: "2026-01-02T03:04:05.000Z",
    ended: "2026-01-02T03:06:05.000Z",
  });
}
