/** @file The run folder that a reader names: by its path, by its name in `runs`, or by the beginning of either. */
import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { badInput } from "../base/errors.js";
import { expectRunFolder, foldersIn, holdsRun } from "./run-folder.js";

/** Where `patchbay run` and `patchbay coordinator` put run folders unless they are told otherwise. */
const RUNS = "runs";

/**
 * The folder of a run.
 * @param given - a path, or a name in `runs`; or the beginning of one, as long as no other run begins with it.
 * @throws PatchbayError `bad_input` where no run or several may be meant.
 */
export function findRunFolder(given: string): string {
  const paths = [given, join(RUNS, given)];
  const exact = paths.find(holdsRun);
  if (exact !== undefined) return exact;
  const begun = existsSync(given) ? [] : paths.flatMap(runsBeginningWith);
  const [only, ...others] = begun;
  if (only !== undefined && others.length > 0)
    throw badInput(`several runs begin with ${given}: ${begun.join(", ")}; write more of the name`, { field: "run" });
  if (only === undefined) expectRunFolder(given);
  return only ?? given;
}

function runsBeginningWith(path: string): string[] {
  return foldersIn(dirname(path)).filter((folder) => basename(folder).startsWith(basename(path)) && holdsRun(folder));
}
