/** @file What validation.json holds: the statistics of every group, and the noise floor. */
import { z } from "zod";
import { badInput } from "../../../base/errors.js";
import { parseJson } from "../../../base/read-file.js";
import { NODE_KINDS } from "../../../nodes/kinds.js";
import { SITES } from "../../../nodes/site.js";

const number = z.number().nullable();
const integer = z.int();
const bounded = z.object({
  value: number,
  low: number,
  high: number,
  /** Mean of the bootstrap replicates less the estimate. */
  bias: number.optional(),
});
/** Version 1 had none of these. */
const absent = { value: null, low: null, high: null };
const later = bounded.default(absent);
const agreement = z.object({
  pearson: bounded,
  spearman: bounded,
  kendall: bounded,
  sign_agreement: bounded,
  sign_agreement_by_effect: later,
  slope: bounded,
  intercept: bounded,
  size_ratio: later,
  off: later,
  top_k_overlap: bounded.extend({ k: integer, chance: number.default(null) }),
});
const familyName = z.object({
  kind: z.enum(NODE_KINDS),
  site: z.enum(SITES),
  /** Nodes patched at all positions at once. */
  global: z.boolean().default(false),
});
const groupName = familyName.extend({
  /** Null: all layers of the group together. */
  layer: integer.nullable().default(null),
  /** Null: all positions of the group together. */
  position: integer.nullable(),
  /** Name of the span that the position is, where rows have spans. */
  span: z.string().optional(),
});
const stratum = z.object({
  stratum: z.string(),
  n: integer,
  frame_size: z.number(),
  pearson: number,
  spearman: number,
  sign_agreement: number,
  slope: number,
  off: number,
});
const band = z.object({
  from: z.number(),
  to: z.number(),
  n: integer,
  frame_size: z.number(),
  mean_score: z.number(),
  // Earlier files of version 2 have an interval, which held too seldom to be shown.
  mean_effect: z.union([number, bounded.transform(({ value }) => value)]),
});
const group = groupName.extend({
  score: z.string(),
  /** What the score compares clean activations with; absent in earlier files. */
  score_donor: z.string().exactOptional(),
  n: integer,
  /** How many nodes of the frame the compared ones stand for; version 1 does not say. */
  frame_size: number.default(null),
  ...agreement.shape,
  weighted: agreement,
  simultaneous_pearson: z.object({ low: z.number(), high: z.number() }).nullable().default(null),
  strata: z.array(stratum).default([]),
  calibration: z.array(band).default([]),
  per_prompt: z.object({ prompts: integer, median: number, p5: number, p95: number }).nullable().default(null),
});
const difference = groupName.extend({
  first: z.string(),
  second: z.string(),
  n: integer,
  weighted: z.object({ pearson: bounded, spearman: bounded, off: bounded }),
});
const unmeasured = familyName.extend({
  stratum: z.string(),
  n: integer,
  frame_size: z.number(),
  size: z.number(),
  exceeding: integer,
  at_most: z.number(),
});
const reliability = groupName.extend({
  split_half: z.object({
    n: integer,
    prompts: integer,
    clusters: integer.nullable().default(null),
    splits: integer,
    pearson: bounded,
    spearman: bounded,
    spearman_brown: bounded,
    intraclass_correlation: number.default(null),
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
const joint = z.object({
  set: z.string(),
  size: integer,
  n: integer,
  effect: number,
  effect_sem: number,
  normalised: number,
  single_effects: number,
  single_effects_sem: number,
  scores: z.record(z.string(), z.number()),
});
const validationSchema = z.object({
  version: z.literal([1, 2]).default(1),
  /** Prompts, and the clusters that they form; version 1 resampled single prompts. */
  prompts: integer.nullable().default(null),
  clusters: integer.nullable().default(null),
  groups: z.array(group),
  differences: z.array(difference).default([]),
  unmeasured: z.array(unmeasured).default([]),
  reliability: z.array(reliability).default([]),
  joint: z.array(joint).default([]),
});

/** Statistics of one group in validation.json. */
export type Group = z.infer<typeof group>;
/** A paired difference between two scores in one group: first less second. */
export type Difference = z.infer<typeof difference>;
/** What is known of nodes that were not measured. */
export type UnmeasuredStratum = z.infer<typeof unmeasured>;
/** Noise floor of one group. */
export type Reliability = z.infer<typeof reliability>;

/** A set that was patched all at once. */
export type JointPatch = z.infer<typeof joint>;

/** Everything in validation.json. */
export type ValidationFile = z.infer<typeof validationSchema>;

/** Parses the bytes of validation.json. @throws PatchbayError `bad_input` where they are not what this version writes. */
export function parseValidation(bytes: Uint8Array, file: string): ValidationFile {
  const parsed = validationSchema.safeParse(parseJson(new TextDecoder().decode(bytes), z.unknown(), { file }));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw badInput(`not the statistics of this version: ${issue?.message ?? ""}; run again with a new --out`, {
    file,
    field: issue?.path.join(".") ?? "",
  });
}
