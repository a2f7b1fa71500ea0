/** @file The last plan that was read, kept: the stages of a run are reduced one after another, and each needs the whole plan. */
import { statSync } from "node:fs";
import type { Plan } from "../plan/plan.js";
import { readPlan, runPaths } from "./run-folder.js";

/** One plan: a coordinator reduces one run at a time, and a plan may be large. */
let last: { readonly key: string; readonly plan: Plan } | null = null;

/** Reads plan.json as {@link readPlan} does; the file that was read last is read again only where it has changed. */
export function readPlanOnce(folder: string, planHash: string): Plan {
  const key = keyOf(runPaths(folder).plan, planHash);
  if (last?.key === key) return last.plan;
  last = null; // Two plans at once may be more than the memory holds.
  const plan = readPlan(folder, planHash);
  last = { key, plan };
  return plan;
}

/** Names the contents of the file. Of a file that is not there nothing is kept: it cannot be read. */
function keyOf(file: string, planHash: string): string {
  const found = statSync(file, { throwIfNoEntry: false });
  return [planHash, found?.size, found?.mtimeMs, found?.ino, file].join(" ");
}
