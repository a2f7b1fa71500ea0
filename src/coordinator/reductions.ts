/** @file The reductions and the report of this build's experiments, as the reduction thread calls them. */
import { loadRegister } from "../experiments/load-register.js";
import * as reducing from "../artifacts/reduce-stage.js";
import * as finishing from "../report/finish-run.js";

const register = await loadRegister();

/** Reduces a stage of a run folder. */
export function reduceStage(folder: string, stage: string, missing: readonly string[]): Promise<reducing.Reduced> {
  return reducing.reduceStage(register.experiments, folder, stage, missing);
}

/** Makes an artifact again where it is damaged. @returns the names of those that were. */
export function remakeIfDamaged(folder: string, name: string): Promise<string[]> {
  return reducing.remakeIfDamaged(register.experiments, folder, name);
}

/** Checks every artifact and writes the report. @returns the names of artifacts that were damaged. */
export function finishRun(folder: string): Promise<string[]> {
  return finishing.finishRun(register, folder);
}
