/** @file Integrated gradients: the mean gradient along the line from the clean to the corrupted activation of one site. */
import { z } from "zod";
import { autodiffRules, type ScoreMethod } from "./score-method.js";

/** The method `ig`: the mean gradient on the line from the clean to the corrupted run, times the change. */
export const ig: ScoreMethod = {
  label: "integrated gradients",
  source: "Sundararajan et al., arXiv 1703.01365; by node: Marks et al., arXiv 2403.19647",
  options: { steps: z.int().min(1).max(1000).default(10) },
  donor: "corrupted",
  hasComponents: false,
  lineSteps: ({ steps }) => Number(steps),
  rules: autodiffRules,
};
