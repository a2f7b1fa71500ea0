/** @file The sweep file's schema: the single source of what a user may write. docs/formats.md describes it. */
import { z } from "zod";
import { ABLATIONS } from "../nodes/intervention.js";
import { KEEPS, VARIANTS, type Variant } from "../nodes/selection.js";
import { SITES } from "../nodes/site.js";
import type { SaeOptions } from "../weights/sae-folder.js";

const site = z.enum(SITES);
const name = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/, "a letter or digit, then letters, digits, - and _, at most 64 in all");
const hook = z.string().min(1).max(200);
const feature = z.int().min(0);
const position = z.int().min(-4096).max(4095);

const score = z.discriminatedUnion("method", [
  z.strictObject({ name, method: z.literal("atp") }),
  z.strictObject({ name, method: z.literal("zero") }),
  z.strictObject({ name, method: z.literal("ig"), steps: z.int().min(1).max(1000).default(10) }),
  z.strictObject({ name, method: z.literal("relp") }),
]);

/** One kind of score: AtP, zero-ablation AtP, integrated gradients, or RelP. */
export type ScoreSpec = z.infer<typeof score>;

const layers = z.union([z.literal("all"), z.array(z.int().min(0)).min(1)]);
const sitesAndLayers = z.strictObject({
  sites: z
    .array(site)
    .min(1)
    .default([...SITES]),
  layers: layers.default("all"),
});
const truthPosition = z.union([z.literal("all"), z.literal("global"), position]);

const features = z.union([
  z.strictObject({ top: z.int().min(0).default(50), random: z.int().min(0).default(50), by: name.default("atp") }),
  z.literal("all"),
  z.array(z.strictObject({ hook, feature })).min(1),
]);

const truthFields = z.strictObject({
  positions: z.union([truthPosition.transform((one) => [one]), z.array(truthPosition).min(1)]).default(["all"]),
  errors: sitesAndLayers.optional(),
  features: features.optional(),
  whole_sites: sitesAndLayers.optional(),
  heads: z.strictObject({ layers: layers.default("all") }).optional(),
});

/** A truth that names no kind of node means error and feature nodes, with their defaults. */
const truth = truthFields.transform((given) => {
  const { positions, ...nodes } = given;
  const named = Object.values(nodes).some((part) => part !== undefined);
  return named ? given : { ...given, errors: sitesAndLayers.parse({}), features: features.parse({}) };
});

/** How the node list of true patching is chosen. */
export type TruthSpec = z.infer<typeof truth>;

/** Its power of ten is a finite number above zero. */
const exponent = z.number().min(-300).max(300);
const thresholds = z.union([
  z.strictObject({ log10: z.tuple([exponent, exponent]), count: z.int().min(1).max(1000) }),
  z.array(z.number()).min(1).max(1000),
]);

const circuits = z.strictObject({
  scores: name.default("atp"),
  thresholds: thresholds.prefault({ log10: [-4, 0], count: 20 }),
  keep: z.enum(KEEPS).default("absolute"),
  ablation: z.enum(ABLATIONS).default("mean"),
  exempt_early_layers: z.boolean().default(false),
  /** Default: all of them with SAEs, `all` without. */
  variants: z.array(z.enum(VARIANTS)).min(1).optional(),
  /** Without SAEs: whether attn_z is one node or one for each head. */
  nodes: z.enum(["sites", "heads"]).optional(),
  completeness: z.boolean().default(true),
});

/** A family of circuits: thresholds by variants. */
export type CircuitsSpec = Omit<z.infer<typeof circuits>, "variants"> & { readonly variants: readonly Variant[] };

const nodeChoice = z.strictObject({
  nodes: z.array(hook).default([]),
  features: z.record(hook, z.array(feature)).default({}),
  positions: z.array(position).nullable().default(null),
});

const experiment = z.strictObject({
  name,
  ablation: z.enum(ABLATIONS).default("mean"),
  threshold: z
    .strictObject({ keep: z.enum(KEEPS), value: z.number() })
    .nullable()
    .default(null),
  ablate: nodeChoice.prefault({}),
  restore: nodeChoice.prefault({}),
});

/** A custom ablate/restore configuration. */
export type ExperimentSpec = z.infer<typeof experiment>;

/** AtP under its own name: the scores of a sweep that needs some and names none. */
const DEFAULT_SCORES: ScoreSpec[] = [{ name: "atp", method: "atp" }];

const inFolder = z.strictObject({ path: z.string().min(1) });
const onHub = z.strictObject({ hub: z.string().min(1).max(200), revision: z.string().min(1).max(200).default("main") });
const saeChoice = {
  width: z.union([z.int().min(1), z.string().regex(/^\d+[km]?$/)]).optional(),
  l0: z.union([z.literal("canonical"), z.int().min(0), z.partialRecord(site, z.int().min(0))]).optional(),
  sites: z.array(site).min(1).optional(),
  layers: z.array(z.int().min(0)).min(1).optional(),
};

/** The schema of a sweep file. */
export const sweepSchema = z
  .strictObject({
    name,
    model: z.union([inFolder, onHub]),
    saes: z.union([z.literal("none"), inFolder.extend(saeChoice), onHub.extend(saeChoice)]).default("none"),
    dataset: z.strictObject({ path: z.string().min(1), limit: z.int().min(1).optional() }),
    metric: z.strictObject({ reduce: z.enum(["max", "sum"]).default("max") }).prefault({}),
    dtype: z.enum(["float32", "bfloat16"]).default("float32"),
    engine: z
      .strictObject({
        threads: z.union([z.literal("auto"), z.int().min(1).max(1024)]).default("auto"),
        block_mib: z.union([z.literal("auto"), z.int().min(1).max(1_048_576)]).default("auto"),
      })
      .prefault({}),
    scores: z.array(score).optional(),
    means: z.boolean().default(false),
    truth: truth.optional(),
    circuits: circuits.optional(),
    experiments: z.array(experiment).default([]),
    seed: z.int().min(0).max(0xffffffff).default(0),
  })
  .transform(({ scores, circuits, ...rest }) => {
    const needed = rest.truth !== undefined || circuits !== undefined;
    return {
      ...rest,
      scores: scores ?? (needed ? DEFAULT_SCORES : []),
      ...(circuits === undefined ? {} : { circuits: withVariants(circuits, rest.saes === "none") }),
    };
  });

/** Variants differ in the error nodes that they ablate: without SAEs there are none. */
function withVariants(spec: z.infer<typeof circuits>, withoutSaes: boolean): CircuitsSpec {
  return { ...spec, variants: spec.variants ?? (withoutSaes ? ["all"] : VARIANTS) };
}

/** A sweep with every default filled in. */
export type Sweep = z.infer<typeof sweepSchema>;

/** A sweep as it enters the plan: paths are replaced by fingerprints elsewhere, `auto` values by `Plan.engine`. */
export type ResolvedSweep = Omit<Sweep, "model" | "saes" | "dataset" | "engine"> & {
  readonly saes: SaeOptions | "none";
  readonly dataset: { readonly limit?: number };
};
