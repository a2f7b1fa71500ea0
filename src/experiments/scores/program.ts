/** @file The engine's program for scores. */
import { readErrorFit } from "../../artifacts/error-fit-file.js";
import { encodeScores, type ScoresResult } from "../../artifacts/scores-payload.js";
import { methodOf, type ScoreMethods } from "../../methods/score-method.js";
import { promptsOf, type Shard } from "../../plan/plan.js";
import { fittedModel } from "../../passes/fitted-model.js";
import type { ShardInputs, ShardProgram } from "../../passes/shard-program.js";
import { computeScores } from "./scores.js";
import type { ScoresTask } from "./task.js";

/** Makes the program, which keeps nothing. */
export function scoresProgram(methods: ScoreMethods): ShardProgram<ScoresTask> {
  const compute = (
    { plan, model, onProgress }: Omit<ShardInputs, "artifact">,
    { score }: ScoresTask,
    shard: Shard,
  ): Promise<ScoresResult> => {
    const { reduce } = plan.sweep.metric;
    return computeScores(model, promptsOf(plan, shard), {
      score,
      method: methodOf(methods, score),
      reduce,
      onProgress,
    });
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
