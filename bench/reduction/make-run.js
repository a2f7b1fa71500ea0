/** @file A run folder of seeded random records, written as engines write them, whose stage `validation` waits to be reduced. */
import { encodeScores } from "../../dist/artifacts/scores-payload.js";
import { encodeParquet } from "../../dist/artifacts/parquet.js";
import { sha256 } from "../../dist/base/hash.js";
import { encodeTruth } from "../../dist/experiments/truth/payload.js";
import { INDEX_FIELDS, NODE_KINDS } from "../../dist/nodes/kinds.js";
import { hookOf } from "../../dist/nodes/node.js";
import { globalColumn, indexColumn, positionColumn } from "../../dist/nodes/node-columns.js";
import { SAE_SITES, siteHook } from "../../dist/nodes/site.js";
import { NO_SHARDS, StageShards } from "../../dist/plan/stage-shards.js";
import { hashOfPlan } from "../../dist/plan/stored-plan.js";
import { writeArtifact } from "../../dist/run/artifacts.js";
import { createRunFolder, runPaths, writeRunFile } from "../../dist/run/run-folder.js";
import { openDirectoryLog } from "../../dist/runlog/directory-log.js";
import { groupIndexes } from "../../dist/stats/clusters.js";
import { FEATURES, LAYERS, planWithoutFiles } from "../models/plan-without-files.js";

const LENGTHS = [8, 7, 7, 7];
const LONGEST = Math.max(...LENGTHS);
const ENVIRONMENT = { code: "0", backend: "wasm", device: "cpu", threads: 1, dtype: "float32", tfjs: "none" };

/**
 * Writes it.
 * @param {string} folder
 * @param {{ prompts: number, nodes: number, scores: number, clusters?: number, block?: number, unlisted?: number }} sizes - one cluster a
 *   prompt where none are given; `unlisted` features of each site and position differ too, and are what a reduction reads and leaves.
 */
export async function makeRun(
  folder,
  { prompts, nodes: nodeCount, scores: scoreCount, clusters, block = 16, unlisted = 20 },
) {
  const scores = ["atp", "ig", "relp"].slice(0, scoreCount);
  const nodes = nodesOf(nodeCount);
  const plan = planOf({ prompts, nodes, scores, clusters, block });
  createRunFolder(folder, plan);
  const planHash = hashOfPlan(plan);
  writeRunFile(folder, runFileOf(planHash, prompts));
  writeArtifact(folder, "nodes.parquet", nodeTable(nodes));
  const log = await openDirectoryLog(runPaths(folder).log);
  const append = async (shard, payload) =>
    await log.append(
      {
        version: 1,
        planHash,
        shard: shard.id,
        attempt: 0,
        epoch: 0,
        worker: "bench",
        environment: "bench",
        dtype: "float32",
        count: shard.prompts.length,
        sha256: sha256(payload),
        seconds: 0,
        units: {},
      },
      payload,
    );
  for (const { id, task, shards } of plan.stages)
    for (const shard of shards)
      await append(
        shard,
        id.startsWith("scores-")
          ? scoresPayload(plan, nodes, shard, { name: task.score.name, unlisted })
          : truthPayload(plan, nodes, shard),
      );
}

/** Errors of every site first, then features: the same number at each site, spread over its positions. */
function nodesOf(count) {
  const places = Array.from({ length: LAYERS }, (_, layer) => SAE_SITES.map((site) => ({ site, layer }))).flat();
  const shared = { stratum: "all", inclusionProbability: 1 };
  const errors = places.flatMap((at) => Array.from({ length: LONGEST - 1 }, (_, t) => ({ ...at, kind: "error", position: t + 1, ...shared }))); // prettier-ignore
  const each = Math.ceil((count - errors.length) / places.length);
  const features = places.flatMap((at) => Array.from({ length: each }, (_, i) => ({
    ...at, kind: "feature", position: 1 + (i % (LONGEST - 1)), feature: 7 * i + at.layer,
    ...(i < each / 2 ? { ...shared, stratum: "top" } : { stratum: "remainder", inclusionProbability: 0.1 }),
  }))); // prettier-ignore
  return [...errors, ...features].slice(0, count).map((node, slot) => ({ ...node, slot }));
}

function nodeTable(nodes) {
  const column = (name, type, read) => ({ name, type, values: type === "INT32" ? Int32Array.from(nodes, read) : nodes.map(read) }); // prettier-ignore
  const columns = [
    column("hook", "STRING", hookOf),
    column("position", "INT32", ({ position }) => positionColumn(position)),
    ...INDEX_FIELDS.map((field) => column(field, "INT32", (node) => indexColumn(node, field))),
    column("global", "BOOLEAN", ({ position }) => globalColumn(position)),
    column("slot", "INT32", ({ slot }) => slot),
    column("stratum", "STRING", ({ stratum }) => stratum),
    { ...column("inclusion_probability", "DOUBLE", () => 0), values: Float64Array.from(nodes, (node) => node.inclusionProbability) }, // prettier-ignore
  ];
  return encodeParquet([columns], {});
}

/** Whether a node's activation differs on a prompt, by a fixed rule: three in four do. */
const differs = (prompt, n) => (prompt * 7919 + n * 104_729) % 4 !== 0;
/** A number in [-0.5, 0.5) that depends on its two arguments alone. */
function noise(a, b) {
  let x = Math.imul(a + 1, 0x9e3779b1) ^ Math.imul(b + 1, 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d);
  x = Math.imul(x ^ (x >>> 12), 0x297a2d39);
  return ((x ^ (x >>> 15)) >>> 0) / 2 ** 32 - 0.5;
}
const sizeOf = (n) => noise(n, -7) ** 3;
const effectOf = (prompt, n) => sizeOf(n) * (1 + 2 * noise(prompt, n));
const positions = (plan, prompt) => plan.prompts[prompt].clean.length;

function truthPayload(plan, nodes, { prompts, slots: [start, end] }) {
  const width = end - start;
  const metricClean = Float64Array.from(prompts, (p) => -2 + noise(p, -1));
  const metricPatched = new Float64Array(prompts.length * width);
  const ran = new Uint8Array(metricPatched.length);
  prompts.forEach((p, row) => {
    for (let s = 0; s < width; s++) {
      const there = nodes[start + s].position < positions(plan, p) && differs(p, start + s);
      metricPatched[row * width + s] = metricClean[row] + (there ? effectOf(p, start + s) : 0);
      ran[row * width + s] = there ? 1 : 0;
    }
  });
  return encodeTruth({ metricClean, metricCorrupted: Float64Array.from(prompts, (p) => 2 + noise(p, -2)), metricPatched, ran }); // prettier-ignore
}

function scoresPayload(plan, nodes, { prompts }, { name, unlisted }) {
  const length = positions(plan, prompts[0]);
  const kinds = /** @type {any} */ (Object.fromEntries(NODE_KINDS.map((kind) => [kind, new Map()])));
  const spread = name === "atp" ? 1 : 0.4;
  const scoreOf = (p, n) => effectOf(p, n) * (0.8 + spread * noise(n, p));
  for (const [hook, own] of byPlace(nodes)) {
    const dense = new Float32Array(prompts.length * length);
    const rows = prompts.map((p, row) => {
      const found = new Map();
      for (let i = 0; i < unlisted * length; i++) found.set((i % length) * FEATURES + 4000 + Math.floor(12_000 * (0.5 + noise(p, i))), noise(i, p)); // prettier-ignore
      for (const node of own) {
        if (node.position >= length || !differs(p, node.slot)) continue;
        if (node.kind === "error") dense[row * length + node.position] = scoreOf(p, node.slot);
        else found.set(node.position * FEATURES + node.feature, scoreOf(p, node.slot));
      }
      return [...found].sort(([a], [b]) => a - b);
    });
    const pointer = new Int32Array(rows.length + 1);
    rows.forEach((row, i) => (pointer[i + 1] = pointer[i] + row.length));
    kinds.feature.set(hook, {
      pointer,
      index: Int32Array.from(rows.flatMap((row) => row.map(([index]) => index))),
      value: Float32Array.from(rows.flatMap((row) => row.map(([, value]) => value))),
    });
    kinds.error.set(hook, dense);
  }
  return encodeScores({ ...kinds, components: new Map() });
}

let places;
function byPlace(nodes) {
  places ??= new Map([...groupIndexes(nodes.map(siteHook))].map(([hook, own]) => [hook, own.map((n) => nodes[n])]));
  return places;
}

function planOf({ prompts, nodes, scores, clusters, block }) {
  const base = planWithoutFiles("reduction", scores);
  const all = Array.from({ length: prompts }, (_, i) => {
    const ids = Array.from({ length: LENGTHS[i % LENGTHS.length] }, (_, t) => 2 + t);
    const cluster = clusters === undefined ? {} : { cluster: String(i % clusters) };
    return {
      line: i + 1,
      clean: ids,
      corrupted: [ids[0], 99, ...ids.slice(2)],
      correct: 10,
      incorrect: [11],
      ...cluster,
    };
  });
  const blocks = [...new Set(LENGTHS)].flatMap((length) => {
    const own = all.flatMap(({ clean }, i) => (clean.length === length ? [i] : []));
    return Array.from({ length: Math.ceil(own.length / block) }, (_, b) => own.slice(b * block, (b + 1) * block));
  });
  const stage = (id, task, range = {}) => ({
    id,
    task,
    dependsOn: [],
    reads: [],
    shards: new StageShards(id, blocks, { blocks: [0, blocks.length], ...range }),
  });
  const errors = nodes.filter(({ kind }) => kind === "error").length;
  const truth = (kind, slots) => stage(`truth-${kind}`, { kind: "truth", nodes: kind, donor: "corrupted", rowsPerBlock: 32, floor: false }, { slots: [slots] }); // prettier-ignore
  return /** @type {any} */ ({
    ...base,
    prompts: all,
    promptBlocks: blocks,
    blocks: { prompts: block, truthRows: 32, circuitRows: 32 },
    nodeSlots: nodes.length,
    stages: [
      ...base.sweep.scores.map((score) => stage(`scores-${score.name}`, { kind: "scores", score })),
      truth("error", [0, errors]),
      ...(nodes.length > errors ? [truth("feature", [errors, nodes.length])] : []),
      {
        id: "validation",
        task: { kind: "validation" },
        dependsOn: [],
        reads: [],
        shards: new StageShards("validation", blocks, NO_SHARDS),
      },
    ],
  });
}

function runFileOf(planHash, prompts) {
  const inputs = { model: "m", saes: "s", dataset: "pairs.jsonl", saeOptions: {} };
  return /** @type {any} */ ({
    version: 1,
    name: "reduction",
    status: "running",
    reason: "",
    plan_hash: planHash,
    sweep: {},
    inputs,
    fingerprints: { ...ENVIRONMENT, model: "a".repeat(64), saes: "b".repeat(64), dataset: "c".repeat(64) },
    counts: { prompts, dropped: 0, shards: 1, done: 1, quarantined: 0, retries: 0, workers: 1 },
    quarantined: [],
    timings: {},
    weight_loading_seconds: 0,
    warnings: [],
    allow_partial: false,
    started: "2026-01-02T03:04:05.000Z",
    ended: null,
  });
}
