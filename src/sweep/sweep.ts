/** @file What every sweep says, and what a checked one is. docs/formats.md describes the file. */
import { z } from "zod";
import type { SaeOptions } from "../weights/sae-folder.js";
import { nameField, siteField } from "./fields.js";
import { type RowFilter, rowFilterField } from "./row-filter.js";

/** One kind of score, under its name; the fields beside are its method's options. */
export interface ScoreSpec {
  readonly name: string;
  readonly method: string;
  /** Whether neurons are scored: set where anything in the sweep needs it. */
  readonly neurons?: boolean;
  /** The finished run that they are taken from: its folder in a sweep file, the hash of its plan in a plan. Absent for a sweep's own. */
  readonly from?: string;
  readonly [option: string]: unknown;
}

/** Whether a score is of neurons too, beside the nodes that every score has. */
export function scoresNeurons({ neurons }: ScoreSpec): boolean {
  return neurons === true;
}

/** Whether scores are those of another run, and its means are used as well. */
export function isBorrowed({ from }: ScoreSpec): boolean {
  return from !== undefined;
}

/** Stages that compute the scores of these names: none for those of another run. */
export function scoreStages({ scores }: Pick<Sweep, "scores">, names: readonly string[]): string[] {
  const borrowed = new Set(scores.filter(isBorrowed).map(({ name }) => name));
  return names.flatMap((name) => (borrowed.has(name) ? [] : [`scores-${name}`]));
}

const inFolder = z.strictObject({ path: z.string().min(1) });
const onHub = z.strictObject({ hub: z.string().min(1).max(200), revision: z.string().min(1).max(200).default("main") });
const width = z.union([z.int().min(1), z.string().regex(/^\d+[km]?$/)]);
const l0 = z.union([z.literal("canonical"), z.int().min(0)]);
/** What names a site: its name, or the hook of one layer's. */
const SITE_KEY = /^(attn_z|mlp_out|resid_post|blocks\.\d{1,4}\.(attn\.hook_z|hook_mlp_out|hook_resid_post))$/;
const siteKey = z.string().regex(SITE_KEY, "expected a site or a site's hook, such as blocks.3.hook_mlp_out");
const saeChoice = {
  width: z.union([width, z.record(siteKey, width)]).optional(),
  l0: z.union([l0, z.record(siteKey, l0)]).optional(),
  sites: z.array(siteField).min(1).optional(),
  layers: z.array(z.int().min(0)).min(1).optional(),
};

const rows = z.strictObject({
  path: z.string().min(1),
  limit: z.int().min(1).optional(),
  where: rowFilterField.optional(),
  chat: z.boolean().optional(),
  template: z.string().min(1).optional(),
});

/** Fields of every sweep, but for its seed. */
export const inputs = {
  name: nameField,
  model: z.union([inFolder, onHub]),
  saes: z.union([z.literal("none"), inFolder.extend(saeChoice), onHub.extend(saeChoice)]).default("none"),
  dataset: z.union([rows, z.strictObject({ select: rows, evaluate: rows })]),
  metric: z.strictObject({ reduce: z.enum(["max", "sum"]).default("max") }).prefault({}),
  dtype: z.enum(["float32", "bfloat16"]).default("float32"),
  engine: z
    .strictObject({
      threads: z.union([z.literal("auto"), z.int().min(1).max(1024)]).default("auto"),
      block_mib: z.union([z.literal("auto"), z.int().min(1).max(1_048_576)]).default("auto"),
    })
    .prefault({}),
};
/** What every draw of a sweep is seeded with. */
export const seed = z.int().min(0).max(0xffffffff).default(0);

/** Names of the fields that no experiment may take. */
export const INPUT_FIELDS = [...Object.keys(inputs), "seed"];

type Inputs = z.infer<z.ZodObject<typeof inputs>>;

/** A sweep with every default filled in. Fields of experiments are read by the experiment that they belong to. */
export interface Sweep extends Inputs {
  readonly scores: readonly ScoreSpec[];
  readonly seed: number;
  /** Names of the spans that are positions, in order. The dataset's rows tell them, and no file has them; absent where tokens are positions. */
  readonly spans?: readonly string[];
  readonly [field: string]: unknown;
}

/** Which rows of a file are kept, and how they become prompts. */
export interface RowChoice {
  readonly limit?: number | undefined;
  /** What an earlier run must have measured of a row. In a plan `from` is that run's plan hash. */
  readonly where?: RowFilter | undefined;
  /** Whether prompts are rendered by the tokenizer's chat template. */
  readonly chat?: boolean | undefined;
  /** The text of prompts that are made of questions, in place of the usual one. */
  readonly template?: string | undefined;
}

/** Rows of a sweep: what they are for, and where they lie. */
export interface RowsSpec extends RowChoice {
  /** The sweep's field that names them. */
  readonly field: readonly string[];
  readonly path: string;
}

/** The rows that a sweep evaluates, and those that it chooses on where these are others. */
export function rowsOf({ dataset }: Pick<Sweep, "dataset">): readonly [evaluate: RowsSpec, select?: RowsSpec] {
  if ("path" in dataset) return [{ field: ["dataset"], ...dataset }];
  return [
    { field: ["dataset", "evaluate"], ...dataset.evaluate },
    { field: ["dataset", "select"], ...dataset.select },
  ];
}

/** A sweep as it enters the plan: paths are replaced by fingerprints elsewhere, `auto` values by `Plan.engine`. */
export type ResolvedSweep = Pick<Sweep, "name" | "metric" | "dtype" | "scores" | "seed" | "spans"> & {
  readonly saes: SaeOptions | "none";
  readonly dataset: RowChoice | { readonly select: RowChoice; readonly evaluate: RowChoice };
  readonly [field: string]: unknown;
};
