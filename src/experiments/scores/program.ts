/** @file The engine's program for scores. */
import { readErrorFit } from "../../artifacts/error-fit-file.js";
import { encodeScores, type ScoresResult } from "../../artifacts/scores-payload.js";
import { methodOf, type ScoreMethods } from "../../methods/score-method.js";
import { must } from "../../base/assert.js";
import { parseSiteHook } from "../../nodes/site.js";
import { sizesAt } from "../../plan/node-places.js";
import { promptsOf, type Shard } from "../../plan/plan.js";
import { fittedModel } from "../../passes/fitted-model.js";
import type { ShardInputs, ShardProgram } from "../../passes/shard-program.js";
import { computeScores } from "./scores.js";
import { scoresBySpan } from "./span-scores.js";
import type { ScoresTask } from "./task.js";

/** Makes the program, which keeps nothing. */
export function scoresProgram(methods: ScoreMethods): ShardProgram<ScoresTask> {
  const compute = async (
    { plan, model, onProgress }: Omit<ShardInputs, "artifact">,
    { score }: ScoresTask,
    shard: Shard,
  ): Promise<ScoresResult> => {
    const { reduce } = plan.sweep.metric;
    const prompts = promptsOf(plan, shard);
    const scores = await computeScores(model, prompts, {
      score,
      method: methodOf(methods, score),
      reduce,
      onProgress,
    });
    return scoresBySpan(scores, prompts, (hook) => sizesAt(plan, must(parseSiteHook(hook), hook)).dSae);
  };
  return {
    run: async (inputs, task, shard) => {
      const count = shard.prompts.length;
      const model = fittedModel(inputs, readErrorFit);
      return { payload: encodeScores(await compute({ ...inputs, model }, task, shard)), count, units: count };
    },
    probe: async (inputs, task, shard) => {
      await compute(inputs, task, shard);
    },
  };
}
