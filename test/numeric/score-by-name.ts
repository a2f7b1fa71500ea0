/** @file Scores by the name of their method, as tests ask for them. */
import { METHODS } from "../../src/methods/registry.js";
import { methodOf } from "../../src/methods/score-method.js";
import * as scores from "../../src/experiments/scores/scores.js";
import type { ScoresResult } from "../../src/artifacts/scores-payload.js";
import type { MetricReduce, Prompt } from "../../src/nodes/prompt.js";
import type { OnProgress } from "../../src/passes/breathe.js";
import type { SplicedModel } from "../../src/passes/spliced-model.js";
import type { ScoreSpec } from "../../src/sweep/sweep.js";

/** A score with its method. */
export function wayOf(score: ScoreSpec): scores.ScoreWay {
  return { score, method: methodOf(METHODS, score) };
}

/** As the product's own, of a method of its. */
export function computeScores(
  spliced: SplicedModel,
  prompts: readonly Prompt[],
  reduce: MetricReduce,
  score: ScoreSpec,
  onProgress?: OnProgress,
): Promise<ScoresResult> {
  return scores.computeScores(spliced, prompts, { ...wayOf(score), reduce, onProgress });
}
