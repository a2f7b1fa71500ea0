/** @file Which stage's reduction writes which artifact. */
import type { Plan, StageTask } from "../plan/plan.js";
import { type HasTasks, taskKind } from "../plan/task-kinds.js";

/** Artifacts that planning gives, and no stage makes. */
export const DROPPED_FILE = "dropped.jsonl";
export const PROMPTS_FILE = "prompts.parquet";
export const SAES_FILE = "saes.parquet";
/** Rows that a filter kept of the dataset that is evaluated, and of the one that chooses. */
export const DATASET_FILE = "dataset.jsonl";
export const SELECT_FILE = "dataset-select.jsonl";

/** All artifacts that planning gives: what it knows itself, and what is taken from another run. */
export function plannedArtifacts({ borrowed }: Plan): string[] {
  return [DROPPED_FILE, PROMPTS_FILE, SAES_FILE, DATASET_FILE, SELECT_FILE, ...Object.keys(borrowed?.artifacts ?? {})];
}

/** What joint patches give, which the truth reads. */
export const JOINT_FILE = "joint.parquet";

/** What a kind of stage says of its artifacts. */
export interface NamesArtifacts<Task extends StageTask = StageTask> {
  /** Names of those that its reduction writes, but for what another stage's does too. */
  artifacts(task: Task, sweep: Plan["sweep"]): readonly string[];
}

/** Stage ids by the names of the artifacts that their reductions write. */
export function artifactStages(
  experiments: readonly HasTasks<NamesArtifacts>[],
  { stages, sweep }: Plan,
): Map<string, string> {
  const found = new Map<string, string>();
  for (const { id, task } of stages) {
    // The components are those of the first scores that have any.
    for (const name of taskKind(experiments, task).artifacts(task, sweep)) if (!found.has(name)) found.set(name, id);
  }
  return found;
}
