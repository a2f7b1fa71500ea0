/** @file Attribution patching: the first-order estimate of the effect of patching a node from the corrupted run. */
import { autodiffRules, type ScoreMethod } from "./score-method.js";

/** The method `atp`: the gradient at the clean run times the change from the clean to the corrupted run. */
export const atp: ScoreMethod = {
  label: "AtP",
  source: "Nanda, Attribution Patching, 2023; Syed et al., arXiv 2310.10348",
  options: {},
  donor: "corrupted",
  hasComponents: true,
  lineSteps: () => null,
  rules: autodiffRules,
};
