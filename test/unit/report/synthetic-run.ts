/** @file A run folder with every artifact, made of seeded random numbers: what the report is tested on. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRng } from "../../../src/base/rng.js";
import { indexColumn } from "../../../src/nodes/node-columns.js";
import { hookOf, nodeHook, type NodeOf } from "../../../src/nodes/node.js";
import { siteHook } from "../../../src/nodes/site.js";
import { writeArtifact } from "../../../src/run/artifacts.js";
import { encodePrompts } from "../../../src/artifacts/prompts-file.js";
import type { PromptText } from "../../../src/prompts/prompt-text.js";
import type { Plan } from "../../../src/plan/plan.js";
import { createRunFolder, writeRunFile, type RunFile } from "../../../src/run/run-folder.js";
import { sweepSchema } from "../../../src/sweep/sweep-schema.js";
import { type Column, encodeParquet } from "../../../src/artifacts/parquet.js";
import type { TruthTable } from "../../../src/experiments/truth/truth-table.js";
import { validationStatistics } from "../../../src/experiments/truth/validation-artifact.js";
import { effectsOf, familiesOf } from "../../../src/experiments/truth/validation-groups.js";
import { clustersOf } from "../../../src/stats/clusters.js";
import { numericFloor, splitHalfReliability } from "../../../src/stats/reliability.js";
import { encodeSafetensors } from "../../../src/weights/safetensors.js";
import {
  doubles,
  encodeCircuits,
  encodeComponents,
  encodeTruth,
  FEATURES,
  integers,
  LAYERS,
  positions,
  POSITIONS,
  PROMPTS,
  sites,
  strings,
} from "./synthetic-tables.js";
import { REGISTER } from "../../../src/experiments/registry.js";
import { hashOfPlan } from "../../../src/plan/stored-plan.js";

/** Prompts that differ in one word, the last of which is no character by itself. */
const TEXTS: readonly PromptText[] = Array.from({ length: PROMPTS }, (_, p) => {
  const tokens = ["<bos>", "The", " cat", p % 2 === 0 ? " <b>" : " that", " sees", " &"];
  const side = { text: tokens.slice(1).join(""), tokens };
  return { file: "rc.test.jsonl", clean: side, corrupted: side, correct: " is", incorrect: [" are"] };
});

function provenanceOf(plan: Plan): Parameters<typeof encodePrompts>[0] {
  const environment = { code: "c", backend: "wasm", device: "d", threads: 1, dtype: "float32", tfjs: "t" };
  return { plan, planHash: "0", environment, missingPrompts: [] };
}

const SCORES = ["atp", "zero"] as const;

/** Names of the one SAE that is published. */
const PUBLISHED = { release: "scope-res", saeId: "layer_1/width_8", neuronpediaId: "tiny/1-scope-res-8" };
const PUBLISHED_HOOK = "blocks.1.hook_resid_post";

const DROPPED = '{"line":3,"reason":"merge"}\n{"line":9,"reason":"unequal_length"}\n';

/** What to leave out or change. */
export interface SyntheticOptions {
  /** Artifacts that are not written. */
  readonly without?: readonly string[];
  readonly run?: Partial<RunFile>;
  readonly plan?: Partial<Plan>;
  /** Lines of `dropped.jsonl`. */
  readonly dropped?: string;
  readonly name?: string;
  /** Donor of the truth. */
  readonly donor?: string;
}

/** Writes a run folder under the system's temporary folder and returns its path. */
export function writeSyntheticRun({
  without = [],
  run = {},
  plan: parts = {},
  dropped = DROPPED,
  name = "synthetic",
  donor = "corrupted",
}: SyntheticOptions = {}): string {
  const folder = mkdtempSync(join(tmpdir(), "patchbay-report-"));
  const plan = { ...makePlan(name, donor), ...parts };
  createRunFolder(folder, plan);
  const table = makeTable();
  const encoders: Record<string, () => Uint8Array> = {
    "scores-atp.safetensors": () => encodeScores(table, 0),
    "scores-zero.safetensors": () => encodeScores(table, 1),
    "components.parquet": encodeComponents,
    "validation.parquet": () => encodeParquet([nodeColumns(table)], {}),
    "validation.json": () => Buffer.from((validationText ??= JSON.stringify(validation(table)))),
    "truth.parquet": () => encodeTruth(table.effect, table.nodes.length),
    "prompts.parquet": () => encodePrompts(provenanceOf(plan), TEXTS),
    "circuits.parquet": encodeCircuits,
    "dropped.jsonl": () => Buffer.from(dropped),
  };
  for (const [file, encode] of Object.entries(encoders))
    if (!without.includes(file)) writeArtifact(folder, file, encode());
  writeRunFile(folder, { ...runFile(name, hashOfPlan(plan)), ...run });
  return folder;
}

/** The statistics of the one table there is: computed once. */
let validationText: string | undefined;

function makePlan(name: string, donor = "corrupted"): Plan {
  const {
    model: _model,
    saes: _saes,
    dataset: _dataset,
    engine: _engine,
    ...sweep
  } = sweepSchema(REGISTER.experiments).parse({
    name: "synthetic",
    model: { path: "m" },
    dataset: { path: "d" },
    scores: [
      { name: "atp", method: "atp" },
      { name: "zero", method: "zero" },
    ],
    truth: { errors: {}, features: {}, donor },
    circuits: {},
  });
  const prompt = { clean: [2, 5, 6, 7, 8, 9], corrupted: [2, 5, 7, 7, 8, 9], correct: 10, incorrect: [11] };
  return {
    version: 2,
    sweep: { ...sweep, name, saes: {}, dataset: {} },
    fingerprints: { model: "a".repeat(64), saes: "b".repeat(64), dataset: "c".repeat(64) },
    shape: { nLayers: LAYERS, dModel: 32, nHeads: 4, headDim: 16, dMlp: 96 },
    saes: sites().map((at) => {
      const published = siteHook(at) === PUBLISHED_HOOK ? { published: PUBLISHED } : {};
      return { ...at, dIn: 32, dSae: FEATURES, ...published };
    }),
    prompts: Array.from({ length: PROMPTS }, (_, i) => ({ line: i + 1, ...prompt })),
    promptBlocks: [],
    donors: null,
    engine: { threads: 1, blockMib: 64, backend: "wasm" },
    blocks: { prompts: 8, truthRows: 32, circuitRows: 32 },
    nodeSlots: 0,
    stages: [],
  };
}

/** Nodes with their effects and scores, `[P, N]`. */
interface SyntheticTable {
  readonly nodes: readonly ((NodeOf<"error"> | NodeOf<"feature">) & {
    readonly position: number;
    readonly inclusion: number;
  })[];
  readonly effect: Float64Array;
  readonly scores: readonly Float64Array[];
}

function makeTable(): SyntheticTable {
  const rng = createRng(1, "nodes");
  const errors = sites().flatMap((at) =>
    positions().map((position) => ({ ...at, kind: "error" as const, position, inclusion: 1 })),
  );
  const features = sites().flatMap((at) =>
    Array.from({ length: 12 }, (_, i) => ({
      ...at,
      kind: "feature" as const,
      position: 2 + (i % 4),
      feature: i % FEATURES,
      inclusion: i < 6 ? 1 : 0.2,
    })),
  );
  const nodes = [...errors, ...features];
  const means = nodes.map(({ kind, position, layer }) =>
    position < 2 ? 0 : ((kind === "error" ? 1 : 0.2) * rng.normal() * (position + layer)) / 8,
  );
  const values = (spread: number, scale: (n: number) => number): Float64Array =>
    Float64Array.from({ length: PROMPTS * nodes.length }, (_, i) => {
      const n = i % nodes.length;
      return (means[n] ?? 0) * scale(n) * (1 + spread * rng.normal());
    });
  const wobble = nodes.map(() => 1 + 0.3 * rng.normal());
  return {
    nodes,
    effect: values(0.6, () => 1),
    scores: [values(0.6, (n) => wobble[n] ?? 1), values(0.6, () => rng.normal())],
  };
}

/** Mean over prompts and its standard error, per node. */
function overPrompts(values: Float64Array, nodes: number): { mean: Float64Array; sem: Float64Array } {
  const [mean, sem] = [new Float64Array(nodes), new Float64Array(nodes)];
  for (let n = 0; n < nodes; n++) {
    const column = values.filter((_, i) => i % nodes === n);
    const average = column.reduce((a, b) => a + b, 0) / column.length;
    mean[n] = average;
    sem[n] = Math.sqrt(column.reduce((sum, v) => sum + (v - average) ** 2, 0) / (column.length - 1) / column.length);
  }
  return { mean, sem };
}

function nodeColumns({ nodes, effect, scores }: SyntheticTable): Column[] {
  const { mean, sem } = overPrompts(effect, nodes.length);
  return [
    strings("hook", nodes.map(hookOf)),
    strings(
      "kind",
      nodes.map(({ kind }) => kind),
    ),
    strings(
      "site",
      nodes.map(({ site }) => site),
    ),
    integers(
      "layer",
      nodes.map(({ layer }) => layer),
    ),
    integers(
      "position",
      nodes.map(({ position }) => position),
    ),
    integers(
      "feature",
      nodes.map((node) => indexColumn(node, "feature")),
    ),
    integers(
      "head",
      nodes.map((node) => indexColumn(node, "head")),
    ),
    { name: "global", type: "BOOLEAN", values: nodes.map(() => false) },
    integers(
      "n",
      nodes.map(() => PROMPTS),
    ),
    doubles("effect", mean),
    doubles("effect_sem", sem),
    doubles(
      "normalised",
      mean.map((value) => value / 4),
    ),
    doubles(
      "normalised_mean",
      mean.map((value) => value / 4.2),
    ),
    strings(
      "stratum",
      nodes.map(({ inclusion }) => (inclusion === 1 ? "all" : "remainder")),
    ),
    doubles(
      "inclusion_probability",
      nodes.map(({ inclusion }) => inclusion),
    ),
    ...SCORES.flatMap((name, s) => {
      const score = overPrompts(scores[s] ?? effect, nodes.length);
      return [doubles(name, score.mean), doubles(`${name}_sem`, score.sem)];
    }),
  ];
}

function validation(table: SyntheticTable): object {
  const { effect } = table;
  const truth = truthTable(table);
  const families = familiesOf(truth.nodes);
  const clusters = clustersOf(Array.from({ length: PROMPTS }, () => undefined));
  const [few, again] = [effect.slice(0, 9), effect.slice(0, 9).map((v) => v + 1e-8)];
  return {
    ...validationStatistics(makePlan("statistics"), truth, 100),
    reliability: families.map(({ members, ...names }) => ({
      ...names,
      position: null,
      split_half: splitHalfReliability(effectsOf(truth, { ...names, members }), clusters, 0, 50),
      numeric: numericFloor(few, again),
    })),
  };
}

function truthTable({ nodes, effect, scores }: SyntheticTable): TruthTable {
  return {
    nodes: nodes.map(({ inclusion, ...node }, slot) => ({
      ...node,
      stratum: inclusion === 1 ? "all" : "remainder",
      inclusionProbability: inclusion,
      slot,
    })),
    prompts: PROMPTS,
    metricClean: new Float64Array(PROMPTS),
    metricCorrupted: new Float64Array(PROMPTS).fill(4),
    metricPatched: effect,
    present: new Uint8Array(effect.length).fill(1),
    ran: new Uint8Array(effect.length).fill(1),
    scores: new Map(SCORES.map((name, s) => [name, scores[s] ?? effect])),
  };
}

function encodeScores({ nodes, scores }: SyntheticTable, index: number): Uint8Array {
  const { mean } = overPrompts(scores[index] ?? new Float64Array(0), nodes.length);
  const arrays = new Map<string, { shape: number[]; values: Float32Array }>();
  for (const at of sites()) {
    arrays.set(nodeHook(at, "error"), { shape: [POSITIONS], values: new Float32Array(POSITIONS) });
    arrays.set(nodeHook(at, "feature"), {
      shape: [POSITIONS, FEATURES],
      values: new Float32Array(POSITIONS * FEATURES),
    });
  }
  nodes.forEach((node, n) => {
    const values = arrays.get(hookOf(node))?.values;
    if (values !== undefined)
      values[node.kind === "error" ? node.position : node.position * FEATURES + node.feature] = mean[n] ?? 0;
  });
  for (const [hook, { shape, values }] of [...arrays])
    arrays.set(`${hook}.sem`, { shape, values: values.map((v) => Math.abs(v) / 5) });
  return encodeSafetensors(arrays);
}

function runFile(name: string, planHash: string): RunFile {
  return {
    version: 1,
    name,
    status: "complete",
    reason: "every shard is done",
    plan_hash: planHash,
    sweep: {},
    inputs: {
      model: "models/tiny-gemma2",
      saes: "models/tiny-gemma2/saes",
      dataset: "data/rc.test.jsonl",
      saeOptions: {},
    },
    node: ["20.19.0", "24.1.0"],
    fingerprints: {
      code: "0.1.0+test",
      backend: "wasm",
      device: "cpu",
      threads: 1,
      dtype: "float32",
      tfjs: "core 4.22.0, wasm 4.22.0",
      model: "a".repeat(64),
      saes: "b".repeat(64),
      dataset: "c".repeat(64),
    },
    counts: { prompts: PROMPTS, dropped: 2, shards: 40, done: 40, quarantined: 0, retries: 1, workers: 2 },
    quarantined: [],
    timings: { "scores-atp": { seconds: 2.5, units: PROMPTS, unit: "prompts", per_second: 7.2 } },
    reused: [
      { stage: "means", shards: 7, of: 7, from: "tiny-earlier", plan_hash: "d".repeat(64) },
      { stage: "circuits", shards: 3, of: 4, from: "tiny-earlier", plan_hash: "d".repeat(64) },
    ],
    weight_loading_seconds: 0.4,
    warnings: ["a worker was restarted"],
    allow_partial: false,
    started: "2026-01-02T03:04:05.000Z",
    ended: "2026-01-02T03:06:05.000Z",
  };
}
