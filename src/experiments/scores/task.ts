/** @file The task of a stage that computes scores. */
import type { StageTask } from "../../plan/plan.js";
import type { ScoreSpec } from "../../sweep/sweep.js";

/** What a stage asks that scores nodes by one method. */
export interface ScoresTask extends StageTask {
  readonly kind: "scores";
  readonly score: ScoreSpec;
}
