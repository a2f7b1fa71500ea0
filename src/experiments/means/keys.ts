/** @file What a shard of mean activations depends on. */
import type { Dependencies, KeyInputs } from "../../plan/shard-keys.js";
import type { MeansTask } from "./task.js";

/** The prompts, and what is averaged. */
export function meansDependencies({ neurons = false, sites = false }: MeansTask, { prompts }: KeyInputs): Dependencies {
  return { stage: { neurons, sites }, shard: (shard) => [prompts(shard)] };
}
