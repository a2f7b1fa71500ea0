/**
 * @file What a stage's reduction can see of its plan. Equal views give equal artifacts, but for the plan's hash that artifacts name.
 *
 * A reduction reads the records and artifacts of its own stage and of those before it. Left out are other stages, the sweep's name, and the
 * fields that only the reductions of other experiments read, as these say themselves.
 */
import { must } from "../base/assert.js";
import { hashOf } from "./shard-keys.js";
import type { Plan, Stage } from "./plan.js";
import { storedPlan } from "./stored-plan.js";
import type { HasTasks } from "./task-kinds.js";

/** What an experiment says of its fields. */
export interface HasOwnFields {
  /** Those of a sweep that no other experiment's program or reduction reads. */
  ownFields?(sweep: Plan["sweep"]): readonly string[];
}

/** What a view needs of an experiment. */
export type ViewedExperiment = HasTasks<unknown> & HasOwnFields;

/** A hash of what the reduction of a stage can see. */
export function stageView(experiments: readonly ViewedExperiment[], plan: Plan, id: string): string {
  const stored = storedPlan(plan);
  const stages = stagesUpTo(stored.stages, id);
  const isSeen = ({ tasks }: ViewedExperiment): boolean => stages.some(({ task }) => Object.hasOwn(tasks, task.kind));
  const others = experiments.filter((one) => !isSeen(one)).flatMap((one) => one.ownFields?.(plan.sweep) ?? []);
  const hidden = new Set(["name", ...others]);
  const sweep = Object.fromEntries(Object.entries(plan.sweep).filter(([field]) => !hidden.has(field)));
  return hashOf({ ...stored, sweep, stages });
}

/** The stage, and all that it depends on. */
function stagesUpTo<One extends Pick<Stage, "id" | "dependsOn">>(stages: readonly One[], id: string): One[] {
  const before = new Set([id]);
  for (const one of before)
    for (const other of must(stages.find((stage) => stage.id === one), one).dependsOn) before.add(other); // prettier-ignore
  return stages.filter((stage) => before.has(stage.id));
}
