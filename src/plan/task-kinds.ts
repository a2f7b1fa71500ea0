/** @file Finds what an experiment says of one kind of stage. */
import { badInput } from "../base/errors.js";
import type { StageTask } from "./plan.js";

/** Something that has tasks, by their kind; `Kind` is the part of them that its reader needs. */
export interface HasTasks<Kind> {
  readonly tasks: Readonly<Record<string, Kind>>;
}

/** What the experiments say of a task's kind. @throws PatchbayError `bad_input` where none has it, as in a process without the run's register. */
export function taskKind<Kind>(experiments: readonly HasTasks<Kind>[], { kind }: StageTask): Kind {
  const found = experiments.find(({ tasks }) => Object.hasOwn(tasks, kind));
  const known = found?.tasks[kind];
  if (known !== undefined) return known;
  throw badInput(`no experiment here has stages of kind ${kind}; start with the PATCHBAY_REGISTER of the run`);
}
