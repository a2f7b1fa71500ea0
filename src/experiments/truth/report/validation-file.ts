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
