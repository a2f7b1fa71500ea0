/** @file Work of mean activations. */
import type { ShardCost } from "../../cost/counted-task.js";
import { captureWork, type CostModel, type PromptBlock, promptBlockOf } from "../../cost/run-work.js";
import { sumWork } from "../../cost/sae-work.js";
import { Work } from "../../cost/work.js";
import type { Plan, Shard } from "../../plan/plan.js";

/** A shard's work, in prompt rows. */
export function meansShardWork(model: CostModel, plan: Plan, shard: Shard): ShardCost {
  const block = promptBlockOf(plan, shard);
  return { units: block.prompts * (block.paired ? 2 : 1), work: meansWork(model, block) };
}

/** Means of a block. */
export function meansWork(model: CostModel, block: PromptBlock): Work {
  const work = new Work(model);
  for (let side = 0; side < (block.paired ? 2 : 1); side++) {
    captureWork(work, model, block);
    for (const sae of model.saes) sumWork(work, sae, block.prompts * block.positions);
  }
  return work;
}
