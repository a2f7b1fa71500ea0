/** @file Runs the patchbay command as a user would, as a process, for cluster tests. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { sha256 } from "../../src/base/hash.js";

const COMMAND = fileURLToPath(new URL("../../bin/patchbay.js", import.meta.url));
const POLL_MS = 20;
const LIMIT_MS = 240_000;

/** How a command ended. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that is running. */
export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  /** What it has written to standard error so far. */
  readonly words: () => string;
  /** What it has written to standard output so far. */
  readonly printed: () => string;
}

/** Starts `patchbay <args>`, with the environment of this process unless another is given. */
export function start(args: readonly string[], env: NodeJS.ProcessEnv = process.env): Running {
  const child = spawn(process.execPath, [COMMAND, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
  const output = { stdout: "", stderr: "" };
  child.stdout.on("data", (bytes: Buffer) => (output.stdout += bytes.toString()));
  child.stderr.on("data", (bytes: Buffer) => (output.stderr += bytes.toString()));
  const ended = new Promise<Ended>((resolve) => {
    child.once("close", (code, signal) => {
      resolve({ code, signal, ...output });
    });
  });
  return { child, ended, words: () => output.stderr, printed: () => output.stdout };
}

/** Runs `patchbay <args>` to its end. */
export function patchbay(args: readonly string[]): Promise<Ended> {
  return start(args).ended;
}

const processesSchema = z.array(
  z.object({ role: z.enum(["coordinator", "worker", "engine"]), pid: z.int(), worker: z.string() }),
);

/** The processes of a running `patchbay run`, as its file lists them. */
export function listedProcesses(folder: string): z.infer<typeof processesSchema> {
  const path = join(folder, "processes.json");
  return existsSync(path) ? processesSchema.parse(JSON.parse(readFileSync(path, "utf8"))) : [];
}

/** Waits until `ready` gives a value. Bounded; fails with `what`. */
export async function until<T>(what: string, ready: () => T | undefined): Promise<T> {
  const began = performance.now();
  for (;;) {
    const value = ready();
    if (value !== undefined) return value;
    if (performance.now() - began > LIMIT_MS) throw new Error(`waited in vain for ${what}`);
    await delay(POLL_MS);
  }
}

/** Number of records in the folder's run log. */
export function recordCount(folder: string): number {
  const log = join(folder, "log");
  if (!existsSync(log)) return 0;
  return readdirSync(log, { recursive: true }).filter((name) => String(name).endsWith(".record")).length;
}

/** SHA-256 of every artifact, by name. */
export function artifactHashes(folder: string): Record<string, string> {
  const artifacts = join(folder, "artifacts");
  const names = readdirSync(artifacts).sort();
  return Object.fromEntries(names.map((name) => [name, sha256(readFileSync(join(artifacts, name)))]));
}

/** Whether a process exists (a zombie does not count). */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${String(pid)}/status`, "utf8"));
  } catch {
    return false;
  }
}

/** Parsed run.json. */
export function runFile(folder: string): {
  status: string;
  counts: Record<string, number>;
  warnings: string[];
  timings: Record<string, unknown>;
  fingerprints: Record<string, unknown>;
} {
  return JSON.parse(readFileSync(join(folder, "run.json"), "utf8")) as ReturnType<typeof runFile>;
}
