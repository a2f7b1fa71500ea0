/** @file Plans a submitted sweep and prepares its run folder, for the kind of workers that are attached. */
import { join } from "node:path";
import { badInput } from "../base/errors.js";
import { planSweep } from "../plan/make-plan.js";
import { prepareRun } from "../artifacts/prepare-run.js";
import { reuseRecords } from "../run/earlier-records.js";
import { runName } from "../run/run-folder.js";
import { environmentOn, type WorkerEnvironment } from "../base/environment.js";
import type { SubmitRequest } from "../wire/messages.js";
import type { RunToServe } from "./served-run.js";
import { loadRegister } from "../experiments/load-register.js";

/** Where submitted runs go, and what their plans are made with. */
export interface SubmissionOptions {
  /** Folder that run folders are made in. */
  readonly runsFolder: string;
  /** Where workers write results: `dir` or `nats://HOST:PORT`. */
  readonly log: string;
  /** What `engine.threads: auto` becomes. */
  readonly threads: number;
}

/**
 * Plans a sweep and makes, or continues, its run folder. The environment is that of the first worker.
 * @throws PatchbayError `bad_input` for the sweep and its inputs, and when no worker is attached; `not_built`;
 *   `different_environment`.
 */
export async function prepareSubmission(
  { sweep, baseFolder, allowPartial, file, files, fresh }: SubmitRequest,
  { runsFolder, log, threads }: SubmissionOptions,
  workers: readonly WorkerEnvironment[],
): Promise<RunToServe> {
  const [worker] = workers;
  if (worker === undefined) {
    throw badInput("no worker is attached: a run's backend and device are its workers'; start one, then submit again");
  }
  const autoThreads = worker.threads === 0 ? threads : worker.threads;
  const { experiments } = await loadRegister();
  const source = { text: sweep, file: file === "" ? "sweep" : file, baseFolder, files };
  const planned = await planSweep(experiments, source, { backend: worker.backend, autoThreads }, process.stderr);
  const { plan, planHash } = planned;
  const environment = environmentOn(worker, { threads: plan.engine.threads, dtype: plan.sweep.dtype });
  const { folder, start } = prepareRun(experiments, planned, {
    out: join(runsFolder, runName(plan.sweep.name, planHash)),
    environment,
    backendReason: "the first worker's",
    allowPartial,
    submitted: new Date().toISOString(),
  });
  if (start !== "complete")
    await reuseRecords(experiments, { folder, plan, environment }, { kind: fresh ? "nowhere" : "beside" });
  return { folder, log };
}
