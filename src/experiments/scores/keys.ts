/** @file What a shard of scores depends on. */
import { FIT_STAGE } from "../../artifacts/error-fit-file.js";
import { fitOf } from "../../plan/fit-spec.js";
import type { Dependencies, KeyInputs } from "../../plan/shard-keys.js";
import type { ScoresTask } from "./task.js";

/** The prompts, the method with its options, and the fits of errors where the sweep splits them. What the scores are called does not matter. */
export function scoresDependencies(
  { score: { name: _name, ...method } }: ScoresTask,
  { plan, prompts, after }: KeyInputs,
): Dependencies {
  const fits = fitOf(plan.sweep) === undefined ? null : after(FIT_STAGE);
  return { stage: { method, fits }, shard: (shard) => [prompts(shard)] };
}
