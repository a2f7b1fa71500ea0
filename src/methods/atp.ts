/** @file Attribution patching: the first-order estimate of the effect of patching a node from the corrupted run. */
import { autodiffRules, type ScoreMethod } from "./score-method.js";

export const atp: ScoreMethod = {
  label: "AtP",
  source: "Nanda, Attribution Patching, 2023; Syed et al., arXiv 2310.10348",
  options: {},
  donor: "corrupted",
  hasComponents: true,
  lineSteps: () => null,
  rules: autodiffRules,
};
