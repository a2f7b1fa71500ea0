/** @file RelP: AtP with the backward rules of layer-wise relevance propagation. */
import type { ScoreMethod } from "./score-method.js";

/** The method `relp`: as `atp`, with other backward rules. */
export const relp: ScoreMethod = {
  label: "RelP",
  source: "Rezaei Jafari et al., arXiv 2508.21258; REFERENCE 9",
  options: {},
  donor: "corrupted",
  hasComponents: false,
  lineSteps: () => null,
  rules: async () => (await import("../model/relp-rules.js")).RELP_RULES,
};
