/** @file The engine's program for scores. */
import { encodeScores } from "../../artifacts/scores-payload.js";
import { methodOf, type ScoreMethods } from "../../methods/score-method.js";
import { promptsOf } from "../../plan/plan.js";
import type { ShardProgram } from "../../passes/shard-program.js";
import { computeScores } from "./scores.js";
import type { ScoresTask } from "./task.js";

/** Makes the program, which keeps nothing. */
export function scoresProgram(methods: ScoreMethods): ShardProgram<ScoresTask> {
  return {
    run: async ({ plan, model, onProgress }, { score }, shard) => {
      const prompts = promptsOf(plan, shard);
      const way = { score, method: methodOf(methods, score) };
      const result = await computeScores(model, prompts, plan.sweep.metric.reduce, way, onProgress);
      return { payload: encodeScores(result), count: prompts.length, units: prompts.length };
    },
    probe: async ({ plan, model }, { score }, shard) => {
      const way = { score, method: methodOf(methods, score) };
      await computeScores(model, promptsOf(plan, shard), plan.sweep.metric.reduce, way);
    },
  };
}
