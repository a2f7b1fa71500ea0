/** @file The engine's program for true patching. */
import { readErrorFit } from "../../artifacts/error-fit-file.js";
import { must } from "../../base/assert.js";
import { fittedModel } from "../../passes/fitted-model.js";
import type { ShardProgram } from "../../passes/shard-program.js";
import { promptsOf } from "../../plan/plan.js";
import { expectedNodes } from "./expected-nodes.js";
import { readNodes } from "./node-table.js";
import { encodeTruth } from "./payload.js";
import type { TruthTask } from "./task.js";
import { computeTruth } from "./truth.js";
import { createRunCache } from "./unpatched-runs.js";

/** Makes the program. It keeps the unpatched runs from one shard of a block of prompts to the next. */
export function openProgram(): ShardProgram<TruthTask> {
  const runs = createRunCache();
  return {
    run: async (inputs, { rowsPerBlock }, shard) => {
      const { plan, artifact, onProgress } = inputs;
      const model = fittedModel(inputs, readErrorFit);
      const [start, end] = must(shard.slots, "slots");
      const bySlot = new Map((await readNodes(artifact)).map((node) => [node.slot, node]));
      const nodes = Array.from({ length: end - start }, (_, i) => bySlot.get(start + i) ?? null);
      const prompts = promptsOf(plan, shard);
      const { reduce } = plan.sweep.metric;
      const result = await computeTruth(model, prompts, reduce, nodes, rowsPerBlock, onProgress, runs);
      const units = result.ran.reduce((sum, one) => sum + one, 0);
      return { payload: encodeTruth(result), count: prompts.length, units };
    },
    probe: async ({ plan, model }, { rowsPerBlock }, shard) => {
      const nodes = expectedNodes(plan)
        .slice(...must(shard.slots, "slots"))
        .map(({ node }) => node);
      await computeTruth(model, promptsOf(plan, shard), plan.sweep.metric.reduce, nodes, rowsPerBlock);
    },
    release: () => {
      runs.dispose();
    },
  };
}
