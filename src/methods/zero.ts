/** @file AtP towards zero: the first-order estimate of the effect of setting a node to 0. It needs no corrupted prompts. */
import { autodiffRules, type ScoreMethod } from "./score-method.js";

/** The method `zero`: the gradient at the clean run times the change to 0. */
export const zero: ScoreMethod = {
  label: "zero-ablation AtP",
  source: "REFERENCE 4",
  options: {},
  donor: "zero",
  hasComponents: false,
  lineSteps: () => null,
  rules: autodiffRules,
};
