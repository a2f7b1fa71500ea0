/** @file The task of a stage that computes scores. */
import type { StageTask } from "../../plan/plan.js";
import type { ScoreSpec } from "../../sweep/sweep.js";

export interface ScoresTask extends StageTask {
  readonly kind: "scores";
  readonly score: ScoreSpec;
}
