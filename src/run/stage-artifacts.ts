/** @file Which stage's reduction writes which artifact. */
import type { Plan, StageTask } from "../plan/plan.js";
import { type HasTasks, taskKind } from "../plan/task-kinds.js";

/** Artifacts that planning gives, and no stage makes. */
export const DROPPED_FILE = "dropped.jsonl";
export const PROMPTS_FILE = "prompts.parquet";
export const SAES_FILE = "saes.parquet";

/** What a kind of stage says of its artifacts. */
export interface NamesArtifacts<Task extends StageTask = StageTask> {
  /** Names of those that its reduction may write. */
  artifacts(task: Task): readonly string[];
}

/** Stage ids by the names of the artifacts that their reductions may write. */
export function artifactStages(
  experiments: readonly HasTasks<NamesArtifacts>[],
  { stages }: Plan,
): Map<string, string> {
  const found = new Map<string, string>();
  for (const { id, task } of stages) {
    // The components are those of the first scores that have any.
    for (const name of taskKind(experiments, task).artifacts(task)) if (!found.has(name)) found.set(name, id);
  }
  return found;
}
