/** @file The engine's program for mean activations. */
import { encodeMeans } from "../../artifacts/means-payload.js";
import { isPaired } from "../../nodes/prompt.js";
import { promptsOf } from "../../plan/plan.js";
import type { ShardProgram } from "../../passes/shard-program.js";
import { computeMeans } from "./means.js";
import type { MeansTask } from "./task.js";

/** Makes the program, which keeps nothing. */
export function openProgram(): ShardProgram<MeansTask> {
  return {
    run: async ({ plan, model, onProgress }, { neurons = false, sites = false }, shard) => {
      const prompts = promptsOf(plan, shard);
      const result = await computeMeans(model, prompts, plan.sweep.metric.reduce, { neurons, sites, onProgress });
      const sides = isPaired(prompts) ? 2 : 1;
      return { payload: encodeMeans(result), count: prompts.length, units: prompts.length * sides };
    },
    probe: async ({ plan, model }, { neurons = false, sites = false }, shard) => {
      await computeMeans(model, promptsOf(plan, shard), plan.sweep.metric.reduce, { neurons, sites });
    },
  };
}
