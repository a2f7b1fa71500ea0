/** @file Work of mean activations. */
import type { ShardCost } from "../../cost/counted-task.js";
import { neuronsAgainWork } from "../../cost/layer-work.js";
import { visitWork, type CostModel, type PromptBlock, promptBlockOf } from "../../cost/run-work.js";
import { sumWork } from "../../cost/sae-work.js";
import { Work } from "../../cost/work.js";
import type { Plan, Shard } from "../../plan/plan.js";
import type { MeansTask } from "./task.js";

/** A shard's work, in prompt rows. */
export function meansShardWork(model: CostModel, plan: Plan, shard: Shard, { neurons = false }: MeansTask): ShardCost {
  const block = promptBlockOf(plan, shard);
  return { units: block.prompts * (block.paired ? 2 : 1), work: meansWork(model, block, neurons) };
}

/** Means of a block. */
export function meansWork(model: CostModel, block: PromptBlock, neurons = false): Work {
  const work = new Work(model);
  for (const rows of visitWork(work, model, block)) {
    if (neurons) for (let layer = 0; layer < model.config.nLayers; layer++) neuronsAgainWork(work, model.config, rows);
    for (const sae of model.saes) sumWork(work, sae, rows);
  }
  return work;
}
