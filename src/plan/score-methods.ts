/** @file What is particular to each method of scoring nodes, without tensors. */
import { unreachable } from "../base/assert.js";
import type { ScoreSpec } from "./sweep.js";

export type ScoreMethod = ScoreSpec["method"];

/** What is particular to a method. */
export interface ScoreMethodDescription {
  readonly label: string;
  /** What the clean activation is compared with: that of the corrupted run, or zero. */
  readonly donor: "corrupted" | "zero";
  /** Whether the factors of its scores are kept, for `components.parquet`. */
  readonly hasComponents: boolean;
}

/** Every method's description. */
export const SCORE_METHODS: Readonly<Record<ScoreMethod, ScoreMethodDescription>> = {
  atp: { label: "AtP", donor: "corrupted", hasComponents: true },
  zero: { label: "zero-ablation AtP", donor: "zero", hasComponents: false },
  ig: { label: "integrated gradients", donor: "corrupted", hasComponents: false },
  relp: { label: "RelP", donor: "corrupted", hasComponents: false },
};

/** How many gradients at a site a score is the mean of. */
export function gradientsPerSite(score: ScoreSpec): number {
  switch (score.method) {
    case "atp":
    case "zero":
    case "relp":
      return 1;
    case "ig":
      return score.steps;
    default:
      return unreachable(score);
  }
}
