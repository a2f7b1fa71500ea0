/** @file `patchbay run`: plans a sweep, then runs it with a coordinator and workers on this machine as processes. */
import { existsSync } from "node:fs";
import { relative } from "node:path";
import type { Experiment } from "../experiments/experiment.js";
import { loadRegister } from "../experiments/load-register.js";
import { must } from "../base/assert.js";
import { counted } from "../base/counted.js";
import { autoThreads, type BackendChoice, chooseBackend, environmentOf } from "../backends/choose-backend.js";
import { EXIT, exitCodeOfState } from "../base/exit-code.js";
import { memoryMib } from "../base/memory.js";
import { wholeNumber } from "../base/whole-number.js";
import { type PlannedRun, type PlanOptions, planSweep } from "../plan/make-plan.js";
import { readSweepFiles } from "../sweep/sweep-files.js";
import { type PreparedRun, prepareRun, runFolderOf } from "../artifacts/prepare-run.js";
import { readRunFile, type RunFile, runPaths, writeRunFile } from "../run/run-folder.js";
import { countReusable, reuseRecords } from "../run/earlier-records.js";
import { checkRunLog } from "../runlog/open-run-log.js";
import { promptCounts, promptsText } from "./prompt-counts.js";
import type { ExpectedSeconds } from "./progress.js";
import { openProgress } from "./progress-display.js";
import type { CalibrationPlace } from "./calibrate.js";
import { checkPort } from "./check-port.js";
import { describeExit, runEmbedded } from "./embedded-cluster.js";
import { CALIBRATION_MS, estimateRun, estimateText, isSmall, SHORT_CALIBRATION_MS, workOf } from "./estimate.js";
import { earlierRunsOf, reusedText, type ReuseOptions } from "./reuse.js";
import type { RoleExit } from "./role-process.js";

/** Options of the command, as text. */
export interface RunOptions extends ReuseOptions {
  readonly out?: string;
  readonly workers: string;
  readonly backend: string;
  readonly log: string;
  /** MiB for each worker, or `auto`: an equal share of the machine's. */
  readonly memoryMib: string;
  readonly port: string;
  readonly allowPartial: boolean;
  readonly json: boolean;
  readonly estimate: boolean;
}

const MAX_WORKERS = 256;
const MAX_MEMORY_MIB = 2 ** 26;

/**
 * Runs a sweep to its end, or continues it. @returns the exit code.
 * @throws every fault of the sweep, the folder and the flags, before anything starts.
 */
export async function runCommand(sweepFiles: readonly string[], options: RunOptions): Promise<number> {
  const workers = wholeNumber(options.workers, "--workers", 1, MAX_WORKERS);
  const port = wholeNumber(options.port, "--port", 0, 65_535);
  const memory =
    options.memoryMib === "auto"
      ? Math.floor(memoryMib() / workers)
      : wholeNumber(options.memoryMib, "--memory-mib", 1, MAX_MEMORY_MIB);
  const { experiments } = await loadRegister();
  const { planned, choice } = await planForBackend(experiments, sweepFiles, options.backend, workers);
  const { backend } = choice;
  const environment = environmentOf(choice, planned.plan.engine.threads, planned.plan.sweep.dtype);
  const place = { backend, threads: environment.threads, workers };
  const earlier = earlierRunsOf(options);
  if (options.estimate) {
    const run = { folder: runFolderOf(planned, options.out), plan: planned.plan, environment };
    const reusable = countReusable(experiments, run, earlier);
    await printEstimate(experiments, planned, place, { reusable, json: options.json });
    return EXIT.complete;
  }
  if (options.log !== "dir") await checkRunLog(options.log);
  await checkPort(port);
  const prepared = prepareRun(experiments, planned, {
    out: options.out,
    environment,
    backendReason: choice.reason,
    allowPartial: options.allowPartial,
  });
  const display = options.json ? null : openProgress(process.stdout);
  const say = (text: string): void => display?.say(text);
  say(openingLine(planned, prepared));
  if (prepared.damaged !== undefined) say(`${prepared.damaged} was missing or damaged; it is made again from the log`);
  say(`backend: ${backend}, ${environment.device}, ${environment.threads} threads an engine (${choice.reason})`);
  if (prepared.start !== "complete") {
    const run = { folder: prepared.folder, plan: planned.plan, environment };
    const reused = await reuseRecords(experiments, run, earlier);
    const text = reusedText(run, earlier, reused, readRunFile(prepared.folder).counts.shards);
    if (text !== undefined) say(text);
  }
  if (prepared.start === "new") await notePrediction(experiments, prepared.folder, planned, place);
  if (prepared.start !== "complete") {
    const { folder } = prepared;
    const { log, json } = options;
    const expected = expectedSeconds(readRunFile(folder));
    const onTerminal = !json && process.stdout.isTTY && process.stderr.isTTY;
    const cluster = { folder, workers, port, backend, log, memoryMib: memory, display, expected, onTerminal };
    const { interrupted, exit } = await runEmbedded(cluster);
    // A run that was over before the signal came is over.
    const unended = readRunFile(folder).status === "running";
    if (unended && interrupted) {
      say("interrupted; the same command continues this run");
      if (options.json) printOutcome(folder, readRunFile(folder), true);
      return EXIT.interrupted;
    }
    if (unended) return endWithoutStatus(folder, exit, options.json);
  }
  const run = readRunFile(prepared.folder);
  printOutcome(prepared.folder, run, options.json);
  return exitCodeOfState(run.status, EXIT.failed);
}

async function printEstimate(
  experiments: readonly Experiment[],
  planned: PlannedRun,
  place: CalibrationPlace,
  { reusable, json }: { readonly reusable: number; readonly json: boolean },
): Promise<void> {
  const work = workOf(experiments, planned, place);
  const prediction = await estimateRun(experiments, { ...planned, work }, place, CALIBRATION_MS);
  const counts = promptCounts(planned);
  const shards = planned.plan.stages.reduce((sum, stage) => sum + stage.shards.length, 0);
  const lines = [
    promptsText(counts),
    ...experiments.flatMap((one) => one.counted?.(planned.plan) ?? []),
    ...(reusable === 0
      ? []
      : [
          `earlier runs have ${String(reusable)} of ${counted(shards, "shard")}, which are reused; what follows counts these too`,
        ]),
    estimateText(prediction),
  ];
  const text = json ? JSON.stringify({ ...prediction, prompts: counts, reusable }) : lines.join("\n");
  process.stdout.write(`${text}\n`);
}

/** The coordinator refused to serve the run, or died too often, and has said why: the run has failed, and may be continued. */
function endWithoutStatus(folder: string, exit: RoleExit, json: boolean): number {
  const reason = `the coordinator ended (${describeExit(exit)}) before the run did; its last message says why`;
  const run: RunFile = { ...readRunFile(folder), status: "failed", reason, ended: new Date().toISOString() };
  writeRunFile(folder, run);
  printOutcome(folder, run, json);
  return exit.code === EXIT.badInput ? EXIT.badInput : EXIT.failed;
}

/** Plans for the backend that suits the sweep's model. */
async function planForBackend(
  experiments: readonly Experiment[],
  sweepFiles: readonly string[],
  name: string,
  workers: number,
): Promise<{ planned: PlannedRun; choice: BackendChoice }> {
  const chosen: BackendChoice[] = [];
  const choose = ({ dModel }: { readonly dModel: number }): PlanOptions => {
    const choice = chooseBackend(name, dModel);
    chosen.push(choice);
    return { backend: choice.backend, autoThreads: autoThreads(choice.backend, workers) };
  };
  const planned = await planSweep(experiments, readSweepFiles(sweepFiles), choose, process.stderr);
  return { planned, choice: must(chosen[0], "backend") };
}

/** Writes what the run is expected to take into run.json. A run does not need it: where it is small, or measuring fails, there is none. */
async function notePrediction(
  experiments: readonly Experiment[],
  folder: string,
  planned: PlannedRun,
  place: CalibrationPlace,
): Promise<void> {
  const work = workOf(experiments, planned, place);
  if (isSmall(work)) return;
  const prediction = await estimateRun(experiments, { ...planned, work }, place, SHORT_CALIBRATION_MS).catch(
    () => undefined,
  );
  if (prediction !== undefined) writeRunFile(folder, { ...readRunFile(folder), prediction });
}

function expectedSeconds({ prediction }: RunFile): ExpectedSeconds {
  const stages = Object.entries(prediction?.stages ?? {});
  return Object.fromEntries(stages.map(([stage, { seconds }]) => [stage, seconds]));
}

function openingLine(planned: PlannedRun, { folder, start }: PreparedRun): string {
  const verb = { new: "running", continued: "continuing", complete: "already complete" }[start];
  return `${verb}: ${promptsText(promptCounts(planned))} in ${relative(process.cwd(), folder) || "."}`;
}

function printOutcome(folder: string, run: RunFile, json: boolean): void {
  const { report } = runPaths(folder);
  if (json) {
    const { status, reason, counts, quarantined, reused = [], warnings, timings } = run;
    process.stdout.write(
      `${JSON.stringify({ status, reason, folder, report, counts, quarantined, reused, warnings, timings })}\n`,
    );
    return;
  }
  for (const warning of run.warnings) process.stdout.write(`warning: ${warning}\n`);
  for (const { shard, message } of run.quarantined) process.stdout.write(`gave up ${shard}: ${message}\n`);
  const { done, shards } = run.counts;
  process.stdout.write(
    `${run.status}: ${done} of ${shards} shards${run.status === "complete" ? "" : ` (${run.reason})`}\n`,
  );
  if (existsSync(report)) process.stdout.write(`report: ${report}\n`);
}
