/** @file Finds what an experiment says of one kind of stage. */
import { must } from "../base/assert.js";
import type { StageTask } from "./plan.js";

/** Something that has tasks, by their kind; `Kind` is the part of them that its reader needs. */
export interface HasTasks<Kind> {
  readonly tasks: Readonly<Record<string, Kind>>;
}

/** What the experiments say of a task's kind. */
export function taskKind<Kind>(experiments: readonly HasTasks<Kind>[], { kind }: StageTask): Kind {
  const found = experiments.find(({ tasks }) => Object.hasOwn(tasks, kind));
  return must(found?.tasks[kind], `an experiment with tasks of kind ${kind}`);
}
