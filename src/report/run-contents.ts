/** @file Everything a report is made of, read from a run folder. What is not there is null. */
import { existsSync, readFileSync } from "node:fs";
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { z } from "zod";
import { must } from "../base/assert.js";
import { badInput } from "../base/errors.js";
import { NODE_KINDS, SITES } from "../circuit/site.js";
import type { Plan } from "../plan/plan.js";
import { readPlan, readRunFile, runPaths, type RunFile } from "../plan/run-folder.js";
import { readParquet } from "../reduce/parquet.js";
import type { NamedArray } from "../weights/named-array.js";
import { readSafetensorsFile } from "../weights/safetensors.js";

const number = z.number().nullable();
const integer = z.int();
const bounded = z.object({
  value: number,
  low: number,
  high: number,
  /** Mean of the bootstrap replicates less the estimate. */
  bias: number.optional(),
});
const agreement = z.object({
  pearson: bounded,
  spearman: bounded,
  kendall: bounded,
  sign_agreement: bounded,
  slope: bounded,
  intercept: bounded,
  top_k_overlap: bounded.extend({ k: integer }),
});
const groupName = z.object({
  kind: z.enum(NODE_KINDS),
  site: z.enum(SITES),
  /** Null: all positions of the group together. */
  position: integer.nullable(),
  /** Nodes patched at all positions at once. */
  global: z.boolean().default(false),
});
const group = groupName.extend({ score: z.string(), n: integer, ...agreement.shape, weighted: agreement });
const reliability = groupName.extend({
  split_half: z.object({
    n: integer,
    prompts: integer,
    splits: integer,
    pearson: bounded,
    spearman: bounded,
    spearman_brown: bounded,
  }),
  numeric: z
    .object({
      n: integer,
      max_abs_difference: z.number(),
      max_relative_difference: z.number(),
      max_abs_effect: z.number(),
      pearson: number,
    })
    .nullable(),
});
const validationSchema = z.object({ groups: z.array(group), reliability: z.array(reliability).default([]) });

/** Statistics of one group in validation.json. */
export type Group = z.infer<typeof group>;
/** Noise floor of one group. */
export type Reliability = z.infer<typeof reliability>;

/** One row of validation.parquet. */
export interface NodeRow {
  readonly hook: string;
  readonly kind: Group["kind"];
  readonly site: Group["site"];
  readonly layer: number;
  readonly position: number;
  readonly feature: number;
  readonly head: number;
  readonly global: boolean;
  readonly n: number;
  readonly effect: number;
  readonly effectSem: number;
  readonly normalised: number;
  readonly stratum: string;
  readonly inclusionProbability: number;
  readonly scores: ReadonlyMap<string, { readonly mean: number; readonly sem: number }>;
}

/** One row of components.parquet. */
export interface ComponentRow {
  readonly hook: string;
  readonly position: number;
  readonly deltaNorm: number;
  readonly gradNorm: number;
  readonly cosine: number;
  readonly dot: number;
}

/** One row of circuits.parquet. */
export interface CircuitRow {
  readonly circuit: string;
  readonly variant: string;
  readonly threshold: number;
  readonly ablation: string;
  readonly keep: string;
  readonly exemptEarlyLayers: boolean;
  readonly features: number;
  readonly errorsResid: number;
  readonly errorsOther: number;
  readonly sites: number;
  readonly heads: number;
  readonly metricCircuit: number;
  readonly metricFull: number;
  readonly faithfulness: number;
  readonly faithfulnessLow: number;
  readonly faithfulnessHigh: number;
  readonly faithfulnessMean: number;
  readonly completeness: number;
  readonly completenessLow: number;
  readonly completenessHigh: number;
}

/** Metric of one prompt's two unablated runs. */
export interface Baseline {
  readonly prompt: number;
  readonly clean: number;
  readonly corrupted: number;
}

/** A run folder, read. */
export interface RunContents {
  readonly run: RunFile;
  readonly plan: Plan;
  /** By score name: arrays by hook. */
  readonly scores: ReadonlyMap<string, ReadonlyMap<string, NamedArray>>;
  readonly components: readonly ComponentRow[] | null;
  readonly nodes: readonly NodeRow[] | null;
  readonly groups: readonly Group[] | null;
  readonly reliability: readonly Reliability[];
  readonly circuits: readonly CircuitRow[] | null;
  readonly baseline: readonly Baseline[] | null;
  readonly dropped: readonly { readonly line: number; readonly reason: string }[];
}

/** Reads a run folder. @throws bad_input where a file is there but cannot be read. */
export async function readRunContents(folder: string): Promise<RunContents> {
  const run = readRunFile(folder);
  const plan = readPlan(folder, run.plan_hash);
  const { artifact } = runPaths(folder);
  const tableOf = async <T>(name: string, toRow: (row: Row) => T): Promise<T[] | null> =>
    existsSync(artifact(name)) ? (await readParquet(artifact(name))).rows.map(toRow) : null;
  const scoreNames = plan.sweep.scores.map(({ name }) => name);
  const scores = new Map<string, ReadonlyMap<string, NamedArray>>();
  for (const name of scoreNames) {
    const file = artifact(`scores-${name}.safetensors`);
    if (existsSync(file)) scores.set(name, (await readSafetensorsFile(file)).arrays);
  }
  const validation = readValidation(artifact("validation.json"));
  return {
    run,
    plan,
    scores,
    components: await tableOf("components.parquet", toComponentRow),
    nodes: await tableOf("validation.parquet", (row) => toNodeRow(row, scoreNames)),
    groups: validation?.groups ?? null,
    reliability: validation?.reliability ?? [],
    circuits: await tableOf("circuits.parquet", toCircuitRow),
    baseline: await readBaseline(artifact, plan.prompts.length),
    dropped: readDropped(artifact("dropped.jsonl")),
  };
}

type Row = Record<string, unknown>;

function readValidation(file: string): z.infer<typeof validationSchema> | null {
  if (!existsSync(file)) return null;
  const parsed = validationSchema.safeParse(parseJson(readFileSync(file, "utf8"), file));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw badInput(`not the statistics of this version: ${issue?.message ?? ""}; run again with a new --out`, {
    file,
    field: issue?.path.join(".") ?? "",
  });
}

function readDropped(file: string): RunContents["dropped"] {
  if (!existsSync(file)) return [];
  const row = z.object({ line: z.int(), reason: z.string() });
  const lines = readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "");
  return lines.map((line) => row.parse(parseJson(line, file)));
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw badInput("is not JSON; run again with a new --out", { file }, error);
  }
}

/** Rows that {@link readBaseline} holds at once. */
const ROWS_AT_ONCE = 50_000;

/** Metrics of the unablated runs, from the truth, else from the circuits (whose sign is turned back). */
async function readBaseline(artifact: (name: string) => string, prompts: number): Promise<Baseline[] | null> {
  const byPrompt = new Map<number, { clean: number; corrupted: number }>();
  const take = (prompt: number, side: "clean" | "corrupted", metric: number): void => {
    const found = byPrompt.get(prompt) ?? { clean: Number.NaN, corrupted: Number.NaN };
    found[side] = metric;
    byPrompt.set(prompt, found);
  };
  // Every node repeats its prompts' metrics: the rows are read until each prompt was seen.
  const seen = (): boolean =>
    byPrompt.size === prompts && [...byPrompt.values()].every((one) => !Number.isNaN(one.corrupted));
  if (existsSync(artifact("truth.parquet"))) {
    for await (const row of rowsOf(artifact("truth.parquet"), ["prompt", "metric_clean", "metric_corrupted"], seen)) {
      take(Number(row["prompt"]), "clean", Number(row["metric_clean"]));
      take(Number(row["prompt"]), "corrupted", Number(row["metric_corrupted"]));
    }
  } else if (existsSync(artifact("circuits-prompts.parquet"))) {
    for await (const row of rowsOf(artifact("circuits-prompts.parquet"), ["prompt", "side", "metric_full"], seen)) {
      const clean = row["side"] === "clean";
      take(Number(row["prompt"]), clean ? "clean" : "corrupted", Number(row["metric_full"]) * (clean ? -1 : 1));
    }
  }
  if (byPrompt.size === 0) return null;
  return [...byPrompt].map(([prompt, metrics]) => ({ prompt, ...metrics })).sort((a, b) => a.prompt - b.prompt);
}

/** Some columns of a table, row by row, until `enough`; asked once for each chunk of rows. */
async function* rowsOf(path: string, columns: string[], enough: () => boolean): AsyncGenerator<Row> {
  const file = await asyncBufferFromFile(path);
  const total = Number((await parquetMetadataAsync(file)).num_rows);
  for (let rowStart = 0; rowStart < total && !enough(); rowStart += ROWS_AT_ONCE) {
    yield* await parquetReadObjects({ file, columns, rowStart, rowEnd: Math.min(total, rowStart + ROWS_AT_ONCE) });
  }
}

function toNodeRow(row: Row, scoreNames: readonly string[]): NodeRow {
  const read = groupName.pick({ kind: true, site: true }).parse(row);
  return {
    ...read,
    hook: String(row["hook"]),
    layer: Number(row["layer"]),
    position: Number(row["position"]),
    feature: Number(row["feature"]),
    head: Number(row["head"]),
    global: row["global"] === true,
    n: Number(row["n"]),
    effect: Number(row["effect"]),
    effectSem: Number(row["effect_sem"]),
    normalised: Number(row["normalised"]),
    stratum: String(row["stratum"]),
    inclusionProbability: Number(row["inclusion_probability"]),
    scores: new Map(
      scoreNames
        .filter((name) => name in row)
        .map((name) => [name, { mean: Number(row[name]), sem: Number(row[`${name}_sem`]) }]),
    ),
  };
}

function toComponentRow(row: Row): ComponentRow {
  return {
    hook: String(row["hook"]),
    position: Number(row["position"]),
    deltaNorm: Number(row["delta_norm"]),
    gradNorm: Number(row["grad_norm"]),
    cosine: Number(row["cosine"]),
    dot: Number(row["dot"]),
  };
}

function toCircuitRow(row: Row): CircuitRow {
  const optional = (name: string): number => (typeof row[name] === "number" ? row[name] : Number.NaN);
  return {
    circuit: String(row["circuit"]),
    variant: String(row["variant"]),
    threshold: optional("threshold"),
    ablation: String(row["ablation"]),
    keep: String(row["keep"]),
    exemptEarlyLayers: row["exempt_early_layers"] === true,
    features: Number(row["n_features"]),
    errorsResid: Number(row["n_errors_resid"]),
    errorsOther: Number(row["n_errors_other"]),
    sites: Number(row["n_sites"]),
    heads: Number(row["n_heads"]),
    metricCircuit: Number(row["metric_circuit"]),
    metricFull: Number(row["metric_full"]),
    faithfulness: optional("faithfulness"),
    faithfulnessLow: optional("faithfulness_low"),
    faithfulnessHigh: optional("faithfulness_high"),
    faithfulnessMean: optional("faithfulness_mean"),
    completeness: optional("completeness"),
    completenessLow: optional("completeness_low"),
    completenessHigh: optional("completeness_high"),
  };
}

/** Nodes that a circuit keeps. */
export function sizeOf({ features, errorsResid, errorsOther, sites, heads }: CircuitRow): number {
  return features + errorsResid + errorsOther + sites + heads;
}

/** With a capital first letter, for titles and the start of sentences. */
export function capitalised(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

/** Name of a score: its method, and its own name where that differs. */
export function scoreLabel({ sweep }: Plan, name: string): string {
  const spec = must(
    sweep.scores.find((score) => score.name === name),
    name,
  );
  const methods = { atp: "AtP", zero: "zero-ablation AtP", ig: "integrated gradients", relp: "RelP" };
  const steps = spec.method === "ig" ? ` (${String(spec.steps)} steps)` : "";
  return spec.name === spec.method ? methods[spec.method] + steps : `${methods[spec.method]} “${name}”${steps}`;
}
