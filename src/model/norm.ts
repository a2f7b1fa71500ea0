/** @file A model's norms, by the kind that its config names. */
import type { Tensor } from "@tensorflow/tfjs-core";
import type { NormRule } from "../families/family.js";
import type { BackwardRules } from "./backward-rules.js";
import { rmsNorm } from "./rms-norm.js";

/** A norm of rows over their last axis. Owner of the result: caller. */
type Norm = (x_RD: Tensor, gain_D: Tensor, rule: NormRule, rules: BackwardRules) => Tensor;

const NORMS: Readonly<Record<NormRule["kind"], Norm>> = {
  rms: (x_RD, gain_D, { eps }, rules) => rmsNorm(x_RD, gain_D, eps, rules),
};

/** The rows of `x`, normed. Owner: caller. */
export const normalize: Norm = (x_RD, gain_D, rule, rules) => NORMS[rule.kind](x_RD, gain_D, rule, rules);

/** The same where the model has this norm, and the rows themselves where it has none. Owner: caller. */
export function normalizeIfAny(x_RD: Tensor, gain_D: Tensor | undefined, rule: NormRule, rules: BackwardRules): Tensor {
  return gain_D === undefined ? x_RD : normalize(x_RD, gain_D, rule, rules);
}
