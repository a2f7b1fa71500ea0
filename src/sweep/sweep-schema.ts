/** @file The sweep file's schema: what every sweep says, and the fields that experiments add. */
import { z } from "zod";
import type { SweepPart } from "./sweep-part.js";
import { inputs, seed, type Sweep } from "./sweep.js";

/** The schema of a sweep file of these experiments; it fills in every default. */
export function sweepSchema(parts: readonly SweepPart[]): z.ZodType<Sweep> {
  const fields: z.ZodRawShape = Object.assign({}, ...parts.map((part) => part.fields)) as z.ZodRawShape;
  return z.strictObject({ ...inputs, ...fields, seed }).transform((given) => {
    const sweep = given as unknown as Sweep;
    const needs = {
      scores: parts.some((part) => part.needsScores?.(sweep) === true),
      neurons: parts.some((part) => part.needsNeurons?.(sweep) === true),
    };
    return parts.reduce((before, part) => part.complete?.(before, needs) ?? before, sweep);
  });
}
