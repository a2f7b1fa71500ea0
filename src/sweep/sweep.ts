/** @file What every sweep says, and what a checked one is. docs/formats.md describes the file. */
import { z } from "zod";
import type { SaeOptions } from "../weights/sae-folder.js";
import { nameField, siteField } from "./fields.js";

/** One kind of score, under its name; the fields beside are its method's options. */
export interface ScoreSpec {
  readonly name: string;
  readonly method: string;
  /** Whether neurons are scored: set where anything in the sweep needs it. */
  readonly neurons?: boolean;
  readonly [option: string]: unknown;
}

/** Whether a score is of neurons too, beside the nodes that every score has. */
export function scoresNeurons({ neurons }: ScoreSpec): boolean {
  return neurons === true;
}

const inFolder = z.strictObject({ path: z.string().min(1) });
const onHub = z.strictObject({ hub: z.string().min(1).max(200), revision: z.string().min(1).max(200).default("main") });
const saeChoice = {
  width: z.union([z.int().min(1), z.string().regex(/^\d+[km]?$/)]).optional(),
  l0: z.union([z.literal("canonical"), z.int().min(0), z.partialRecord(siteField, z.int().min(0))]).optional(),
  sites: z.array(siteField).min(1).optional(),
  layers: z.array(z.int().min(0)).min(1).optional(),
};

const rows = z.strictObject({ path: z.string().min(1), limit: z.int().min(1).optional() });

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
  readonly [field: string]: unknown;
}

/** Which rows of a file are kept. */
export interface RowLimits {
  readonly limit?: number | undefined;
}

/** Rows of a sweep: what they are for, and where they lie. */
export interface RowsSpec extends RowLimits {
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
export type ResolvedSweep = Pick<Sweep, "name" | "metric" | "dtype" | "scores" | "seed"> & {
  readonly saes: SaeOptions | "none";
  readonly dataset: RowLimits | { readonly select: RowLimits; readonly evaluate: RowLimits };
  readonly [field: string]: unknown;
};
