/** @file What the fit of one site's errors depends on. */
import { must } from "../../base/assert.js";
import { promptKey } from "../../nodes/prompt.js";
import { fitOf } from "../../plan/fit-spec.js";
import { type Dependencies, hashOf, type KeyInputs } from "../../plan/shard-keys.js";
import type { FitTask } from "./task.js";

/** The site, the rows, their blocks and groups, and the ridge. */
export function fitDependencies({ sites }: FitTask, { plan }: KeyInputs): Dependencies {
  const { ridge } = must(fitOf(plan.sweep), "fit");
  const rows = hashOf((plan.fitPrompts ?? []).map(promptKey));
  const { blocks, engine } = plan;
  const shapes = { prompts: blocks.prompts, blockMib: engine.blockMib };
  return { stage: { rows, ridge, shapes }, shard: ({ slots }) => [hashOf(sites[must(slots, "slots")[0]])] };
}
