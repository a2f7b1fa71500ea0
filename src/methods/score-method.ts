/** @file What a method of scoring nodes is: each stands in a file of its own beside this one. */
import type { z } from "zod";
import { badInput } from "../base/errors.js";
import type { BackwardRules } from "../model/backward-rules.js";
import type { ScoreSpec } from "../sweep/sweep.js";

/**
 * All that is particular to a method. A score is `gradient . (donor - clean)`: methods differ in the donor, in where the gradient is
 * taken, and in the rules by which it goes back.
 */
export interface ScoreMethod {
  /** What people call it. */
  readonly label: string;
  /** The paper it is from. */
  readonly source: string;
  /** Fields of the sweep's score beside `name` and `method`. */
  readonly options: z.ZodRawShape;
  /** What the clean activation is compared with: that of the corrupted run, or zero. */
  readonly donor: "corrupted" | "zero";
  /** Whether the factors of its scores are kept, for `components.parquet`. */
  readonly hasComponents: boolean;
  /** How many points of the line from the clean to the corrupted run the gradient is the mean of; null: it is the clean run's. */
  lineSteps(score: ScoreSpec): number | null;
  /** Loads the rules of its backward pass, which import tensors. */
  rules(): Promise<BackwardRules>;
}

/** Methods by the name that a sweep calls them by. */
export type ScoreMethods = Readonly<Record<string, ScoreMethod>>;

/** The method of a score. @throws PatchbayError `bad_input` where there is none, as in a process without the run's register. */
export function methodOf(methods: ScoreMethods, { method }: ScoreSpec): ScoreMethod {
  const known = methods[method];
  if (known !== undefined) return known;
  throw badInput(`there is no score method ${method} here; start with the PATCHBAY_REGISTER of the run`);
}

/** How many gradients at a site a score is the mean of. */
export function gradientsPerSite(method: ScoreMethod, score: ScoreSpec): number {
  return method.lineSteps(score) ?? 1;
}

/** Rules of ordinary automatic differentiation. */
export async function autodiffRules(): Promise<BackwardRules> {
  return (await import("../model/backward-rules.js")).AUTODIFF_RULES;
}
