/** @file What a shard of mean activations depends on. */
import type { KeyInputs } from "../../plan/shard-keys.js";
import type { Shard } from "../../plan/plan.js";
import type { MeansTask } from "./task.js";

/** The prompts, and what is averaged. */
export function meansDependencies(
  { neurons = false, sites = false }: MeansTask,
  { prompts }: KeyInputs,
): (shard: Shard) => unknown {
  return (shard) => ({ neurons, sites, prompts: prompts(shard) });
}
