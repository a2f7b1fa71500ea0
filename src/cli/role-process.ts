/**
 * @file One role of an embedded cluster as a child process that is started again when it dies, a bounded number of times.
 *
 * Roles end by themselves when the pipe to this process closes, so nothing survives it, however it dies.
 */
import { type ChildProcess, fork } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { COMMAND } from "../base/entries.js";
import { toParentSchema, type ToParent } from "../wire/parent-process.js";

/** How a process ended. */
export interface RoleExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** What to start, and whom to tell. */
export interface RoleOptions {
  /** Arguments of the `patchbay` command; asked for again at every start. */
  readonly args: () => readonly string[];
  readonly onMessage: (message: ToParent) => void;
  /** Takes what the process writes for people; undefined: it writes to this process's own output. */
  readonly onText: ((text: string) => void) | undefined;
  /** Called at every start and end with the process's id, null when it has none. */
  readonly onPid: (pid: number | null) => void;
  /** Whether a process that ended like this is to be started again. */
  readonly restarts: (exit: RoleExit) => boolean;
  readonly onRestart: (exit: RoleExit, restarts: number) => void;
}

/** A running role. */
export interface RoleProcess {
  /** Resolves when the role has ended for good. */
  readonly ended: Promise<RoleExit>;
  /** Asks it to end (SIGTERM), kills it after `graceMs`, and does not start it again. */
  stop(graceMs: number): Promise<RoleExit>;
}

/** Restarts of one role before it is given up. */
const MAX_RESTARTS = 20;

function takeLines(stream: Readable, onText: RoleOptions["onText"]): void {
  createInterface({ input: stream }).on("line", (line) => onText?.(line));
}

/** Starts a role. */
export function startRole(options: RoleOptions): RoleProcess {
  let child: ChildProcess;
  let stopping = false;
  let restarts = 0;
  let settle: (exit: RoleExit) => void = () => undefined;
  const ended = new Promise<RoleExit>((resolve) => (settle = resolve));
  const start = (): void => {
    const output = options.onText === undefined ? "inherit" : "pipe";
    child = fork(COMMAND, [...options.args()], { stdio: ["ignore", output, output, "ipc"] });
    for (const stream of [child.stdout, child.stderr]) if (stream !== null) takeLines(stream, options.onText);
    options.onPid(child.pid ?? null);
    child.on("message", (raw) => {
      const message = toParentSchema.safeParse(raw);
      if (message.success) options.onMessage(message.data);
    });
    child.once("exit", (code, signal) => {
      const exit = { code, signal };
      options.onPid(null);
      if (stopping || restarts >= MAX_RESTARTS || !options.restarts(exit)) {
        settle(exit);
        return;
      }
      restarts += 1;
      options.onRestart(exit, restarts);
      start();
    });
  };
  start();
  const stop = async (graceMs: number): Promise<RoleExit> => {
    stopping = true;
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), graceMs);
    const exit = await ended;
    clearTimeout(timer);
    return exit;
  };
  return { ended, stop };
}
