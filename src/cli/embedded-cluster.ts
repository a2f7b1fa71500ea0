/**
 * @file A cluster on this machine: a coordinator for one prepared run folder and its workers, as processes of this one.
 *
 * 1. The coordinator starts first; it says on which port it listens.
 * 2. Workers dial it. Whoever dies is started again, the coordinator on the port it had.
 * 3. When the coordinator ends, or a signal arrives, everybody is asked to end.
 */
import { EXIT } from "../base/exit-code.js";
import type { RunStatus } from "../wire/messages.js";
import { followRun, onlyRun } from "./follow-run.js";
import { createProcessList, type ProcessList } from "./process-list.js";
import { type ExpectedSeconds, progressLine } from "./progress.js";
import type { ProgressDisplay } from "./progress-display.js";
import { type RoleExit, type RoleProcess, startRole } from "./role-process.js";

/** How long a role may take to end when asked to. */
const GRACE_MS = 20_000;

/** What an embedded cluster is made of. */
export interface EmbeddedCluster {
  /** The prepared run folder. */
  readonly folder: string;
  readonly workers: number;
  /** Port of the coordinator on 127.0.0.1; 0: any free one. */
  readonly port: number;
  readonly backend: string;
  /** `dir`, or `nats://HOST:PORT`. */
  readonly log: string;
  /** Memory of each worker. */
  readonly memoryMib: number;
  /** Shows progress, and takes lines for people; null where a program reads the output. */
  readonly display: ProgressDisplay | null;
  /** What each stage is expected to take. */
  readonly expected: ExpectedSeconds;
  /** Whether the lines of processes go through the display, so that they do not break into its line. */
  readonly onTerminal: boolean;
}

/** Starts the roles and waits for the coordinator's end. @returns how it ended, and whether a signal cut the run short. */
export async function runEmbedded(
  cluster: EmbeddedCluster,
): Promise<{ readonly interrupted: boolean; readonly exit: RoleExit }> {
  const { folder, workers, port, log, display, onTerminal } = cluster;
  const say = (text: string): void => display?.say(text);
  const onText = onTerminal ? say : undefined;
  const processes = createProcessList(folder);
  const warn = (role: string) => (exit: RoleExit, restarts: number) => {
    say(`${role} died (${describeExit(exit)}); started again (${restarts})`);
  };
  let address: string | undefined;
  let began: (address: string) => void = () => undefined;
  const listening = new Promise<string>((resolve) => (began = resolve));
  const coordinator = startRole({
    onText,
    args: () => ["coordinator", ...["--run", folder, "--listen", address ?? `127.0.0.1:${port}`, "--log", log]],
    onMessage: (message) => {
      if (message.kind !== "listening") return;
      address = `127.0.0.1:${message.port}`;
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
      roles.push(startWorker(`worker-${i}`, () => address ?? started, cluster, processes, warn));
    const follow = new AbortController();
    const following = display === null ? undefined : showProgress(started, display, cluster.expected, follow.signal);
    await coordinator.ended;
    follow.abort();
    await following;
    display?.end();
  }
  const exit = await coordinator.ended;
  await Promise.all(roles.slice(1).map((worker) => worker.stop(GRACE_MS)));
  process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
  processes.close();
  return { interrupted, exit };
}

/** Shows the progress line. It only informs: a fault here never ends the run. */
async function showProgress(
  address: string,
  display: ProgressDisplay,
  expected: ExpectedSeconds,
  signal: AbortSignal,
): Promise<void> {
  const show = (status: RunStatus): void => {
    display.show(progressLine(status, expected));
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
  { backend, log, memoryMib, display, onTerminal }: EmbeddedCluster,
  processes: ProcessList,
  warn: (role: string) => (exit: RoleExit, restarts: number) => void,
): RoleProcess {
  return startRole({
    onText: onTerminal ? (text) => display?.say(text) : undefined,
    args: () => [
      ...["worker", "--coordinator", address(), "--name", name],
      ...["--backend", backend, "--log", log, "--memory-mib", String(memoryMib)],
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

/** How a process ended, in words. */
export function describeExit({ code, signal }: RoleExit): string {
  return signal === null ? `exit code ${String(code)}` : signal;
}
