/** @file `patchbay run`: plans a sweep, then runs it with a coordinator and workers on this machine as processes. */
import { relative } from "node:path";
import { must } from "../base/assert.js";
import { EXIT, exitCodeOfState } from "../base/exit-code.js";
import { memoryMib } from "../base/memory.js";
import { wholeNumber } from "../base/whole-number.js";
import { type PlannedRun, type PlanOptions, planSweepFile } from "../plan/make-plan.js";
import { readRunFile, type RunFile, runPaths, writeRunFile } from "../plan/run-folder.js";
import { checkRunLog } from "../runlog/open-run-log.js";
import type { CalibrationPlace } from "./calibrate.js";
import { checkPort } from "./check-port.js";
import { autoThreads, type BackendChoice, chooseBackend, environmentOf } from "./environment.js";
import { type PreparedRun, prepareRun } from "../plan/prepare-run.js";
import type { RunStatus } from "../wire/messages.js";
import { CALIBRATION_MS, estimateRun, estimateText, SHORT_CALIBRATION_MS } from "./estimate.js";
import { createProcessList } from "./process-list.js";
import { followRun, onlyRun } from "./follow-run.js";
import { progressLine } from "./progress.js";
import { type RoleExit, type RoleProcess, startRole } from "./role-process.js";

/** Options of the command, as text. */
export interface RunOptions {
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

/** How long a role may take to end when asked to. */
const GRACE_MS = 20_000;
const MAX_WORKERS = 256;
const MAX_MEMORY_MIB = 2 ** 26;
const PROGRESS_MS = 3000;

/**
 * Runs a sweep to its end, or continues it. @returns the exit code.
 * @throws every fault of the sweep, the folder and the flags, before anything starts.
 */
export async function runCommand(sweepFile: string, options: RunOptions): Promise<number> {
  const workers = wholeNumber(options.workers, "--workers", 1, MAX_WORKERS);
  const port = wholeNumber(options.port, "--port", 0, 65_535);
  const memory =
    options.memoryMib === "auto"
      ? Math.floor(memoryMib() / workers)
      : wholeNumber(options.memoryMib, "--memory-mib", 1, MAX_MEMORY_MIB);
  const { planned, choice } = await planForBackend(sweepFile, options.backend, workers);
  const { backend } = choice;
  const environment = environmentOf(choice, planned.plan.engine.threads, planned.plan.sweep.dtype);
  const place = { backend, threads: environment.threads, workers };
  if (options.estimate) {
    const prediction = await estimateRun(planned, place, CALIBRATION_MS);
    process.stdout.write(`${options.json ? JSON.stringify(prediction) : estimateText(prediction)}\n`);
    return EXIT.complete;
  }
  if (options.log !== "dir") await checkRunLog(options.log);
  await checkPort(port);
  const prepared = prepareRun(planned, {
    out: options.out,
    environment,
    backendReason: choice.reason,
    allowPartial: options.allowPartial,
  });
  const say = (text: string): void => {
    if (!options.json) process.stdout.write(`${text}\n`);
  };
  say(openingLine(planned.plan.prompts.length, planned.dropped.length, prepared));
  say(
    `backend: ${backend}, ${environment.device}, ${String(environment.threads)} threads an engine (${choice.reason})`,
  );
  if (prepared.start === "new") await notePrediction(prepared.folder, planned, place);
  if (prepared.start !== "complete") {
    const interrupted = await runEmbedded(
      prepared.folder,
      workers,
      port,
      { ...options, memoryMib: String(memory), backend },
      say,
    );
    if (interrupted) {
      say("interrupted; the same command continues this run");
      return EXIT.interrupted;
    }
  }
  const run = readRunFile(prepared.folder);
  printOutcome(prepared.folder, run, options.json);
  return exitCodeOfState(run.status, EXIT.interrupted);
}

/** Plans for the backend that suits the sweep's model. */
async function planForBackend(
  sweepFile: string,
  name: string,
  workers: number,
): Promise<{ planned: PlannedRun; choice: BackendChoice }> {
  const chosen: BackendChoice[] = [];
  const choose = ({ dModel }: { readonly dModel: number }): PlanOptions => {
    const choice = chooseBackend(name, dModel);
    chosen.push(choice);
    return { backend: choice.backend, autoThreads: autoThreads(choice.backend, workers) };
  };
  const planned = await planSweepFile(sweepFile, choose, process.stderr);
  return { planned, choice: must(chosen[0], "backend") };
}

/** Writes what the run is expected to take into run.json. A run does not need it: where measuring fails there is none. */
async function notePrediction(folder: string, planned: PlannedRun, place: CalibrationPlace): Promise<void> {
  const prediction = await estimateRun(planned, place, SHORT_CALIBRATION_MS).catch(() => undefined);
  if (prediction !== undefined) writeRunFile(folder, { ...readRunFile(folder), prediction });
}

function openingLine(kept: number, dropped: number, { folder, start }: PreparedRun): string {
  const rows = dropped === 0 ? "" : ` (${String(dropped)} rows dropped, see artifacts/dropped.jsonl)`;
  const verb = { new: "running", continued: "continuing", complete: "already complete" }[start];
  return `${verb}: ${String(kept)} prompts${rows} in ${relative(process.cwd(), folder) || "."}`;
}

/** Starts the roles and waits for the coordinator's end. @returns whether a signal cut the run short. */
async function runEmbedded(
  folder: string,
  workers: number,
  port: number,
  { log, json, backend, memoryMib: memory }: RunOptions,
  say: (text: string) => void,
): Promise<boolean> {
  const processes = createProcessList(folder);
  const warn = (role: string) => (exit: RoleExit, restarts: number) => {
    say(`${role} died (${describeExit(exit)}); started again (${String(restarts)})`);
  };
  let address: string | undefined;
  let began: (address: string) => void = () => undefined;
  const listening = new Promise<string>((resolve) => (began = resolve));
  const coordinator = startRole({
    args: () => ["coordinator", ...["--run", folder, "--listen", address ?? `127.0.0.1:${String(port)}`, "--log", log]],
    onMessage: (message) => {
      if (message.kind !== "listening") return;
      address = `127.0.0.1:${String(message.port)}`;
      began(address);
    },
    onPid: (pid) => {
      processes.set("coordinator", "", pid);
    },
    restarts: ({ code }) => code === null || code > EXIT.partial,
    onRestart: warn("coordinator"),
  });
  let interrupted = false;
  const roles: RoleProcess[] = [coordinator];
  const interrupt = (): void => {
    interrupted = true;
    void Promise.all(roles.map((role) => role.stop(GRACE_MS)));
  };
  process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
  const started = await Promise.race([listening, coordinator.ended.then(() => undefined)]);
  if (started !== undefined) {
    for (let i = 0; i < workers; i++)
      roles.push(
        startWorker(`worker-${String(i)}`, () => address ?? started, { backend, log, memory }, processes, warn),
      );
    const follow = new AbortController();
    const following = json ? undefined : showProgress(started, say, follow.signal);
    await coordinator.ended;
    follow.abort();
    await following;
  }
  await Promise.all(roles.slice(1).map((worker) => worker.stop(GRACE_MS)));
  process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
  processes.close();
  return interrupted;
}

/** Prints the progress line at most every few seconds. It only informs: a fault here never ends the run. */
async function showProgress(address: string, say: (text: string) => void, signal: AbortSignal): Promise<void> {
  let saidAt = -Infinity;
  const show = (status: RunStatus): void => {
    if (performance.now() - saidAt < PROGRESS_MS) return;
    saidAt = performance.now();
    say(progressLine(status));
  };
  try {
    const run = await onlyRun(address);
    if (run !== undefined) await followRun(address, run, show, { signal, patienceMs: Infinity });
  } catch {
    // The run's own messages and run.json say what happened.
  }
}

function startWorker(
  name: string,
  address: () => string,
  { backend, log, memory }: { readonly backend: string; readonly log: string; readonly memory: string },
  processes: ReturnType<typeof createProcessList>,
  warn: (role: string) => (exit: RoleExit, restarts: number) => void,
): RoleProcess {
  return startRole({
    args: () => [
      "worker",
      "--coordinator",
      address(),
      "--name",
      name,
      "--backend",
      backend,
      "--log",
      log,
      "--memory-mib",
      memory,
    ],
    onMessage: (message) => {
      if (message.kind === "engine") processes.set("engine", name, message.pid);
    },
    onPid: (pid) => {
      processes.set("worker", name, pid);
      if (pid === null) processes.set("engine", name, null);
    },
    restarts: ({ code }) => code !== 0,
    onRestart: warn(name),
  });
}

function printOutcome(folder: string, run: RunFile, json: boolean): void {
  const { report } = runPaths(folder);
  if (json) {
    const { status, reason, counts, quarantined, warnings, timings } = run;
    process.stdout.write(
      `${JSON.stringify({ status, reason, folder, report, counts, quarantined, warnings, timings })}\n`,
    );
    return;
  }
  for (const warning of run.warnings) process.stdout.write(`warning: ${warning}\n`);
  for (const { shard, message } of run.quarantined) process.stdout.write(`gave up ${shard}: ${message}\n`);
  const { done, shards } = run.counts;
  process.stdout.write(
    `${run.status}: ${String(done)} of ${String(shards)} shards${run.status === "complete" ? "" : ` (${run.reason})`}\n`,
  );
  process.stdout.write(`report: ${report}\n`);
}

function describeExit({ code, signal }: RoleExit): string {
  return signal === null ? `exit code ${String(code)}` : signal;
}
