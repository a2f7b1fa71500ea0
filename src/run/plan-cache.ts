/** @file The last plan that was read, kept: the stages of a run are reduced one after another, and each needs the whole plan. */
import { statSync } from "node:fs";
import type { Plan } from "../plan/plan.js";
import { readPlan, runPaths } from "./run-folder.js";

/** One plan: a coordinator reduces one run at a time, and a plan may be large. */
let last: { readonly key: string; readonly plan: Plan } | null = null;

/** Reads a plan as {@link readPlan} does; the one that was read last is read again only where its files have changed. */
export function readPlanOnce(folder: string, planHash: string): Plan {
  const paths = runPaths(folder);
  const key = [planHash, keyOf(paths.plan), keyOf(paths.planPrompts)].join(" ");
  if (last?.key === key) return last.plan;
  last = null; // Two plans at once may be more than the memory holds.
  const plan = readPlan(folder, planHash);
  last = { key, plan };
  return plan;
}

/** Names the contents of a file. Of one that is not there nothing is kept: it cannot be read. */
function keyOf(file: string): string {
  const found = statSync(file, { throwIfNoEntry: false });
  return [found?.size, found?.mtimeMs, found?.ino, file].join(" ");
}
