/**
 * @file The modules that are started by name and not imported: processes, threads, and what a thread is told to load.
 * No other file names a module in a string.
 */
import { fileURLToPath } from "node:url";

/** Their files in the folder of compiled files. */
const ENTRIES = {
  cli: "cli/main.js",
  coordinator: "coordinator/main.js",
  worker: "worker/main.js",
  doctor: "doctor/doctor-main.js",
  "train-saes": "sae-training/train-saes-main.js",
  calibrate: "engine/calibrate-main.js",
  engine: "engine/engine-main.js",
  measure: "backends/measure-main.js",
  "reduce-thread": "coordinator/reduce-thread.js",
  reductions: "coordinator/reductions.js",
  "task-thread": "base/task-thread.js",
  "truth-tasks": "experiments/truth/truth-tasks.js",
} as const;

/** The name of a module that is started as a process or a thread. */
export type Entry = keyof typeof ENTRIES;

/** Every entry's name. */
export const ENTRY_NAMES = Object.keys(ENTRIES) as Entry[];

const PROJECT = new URL("../../", import.meta.url);

/** Where an entry's module lies. */
export function entryUrl(entry: Entry): URL {
  return new URL(`dist/${ENTRIES[entry]}`, PROJECT);
}

/** The file of an entry. */
export function entryFile(entry: Entry): string {
  return fileURLToPath(entryUrl(entry));
}

/** Scripts of a checkout that build a native backend; a package has them, a container image has not. */
export const BUILDERS = { torch: "build-native.js", tensorflow: "build-tensorflow.js" } as const;

/** The file of the script that builds a backend. */
export function builderFile(backend: keyof typeof BUILDERS): string {
  return fileURLToPath(new URL(`scripts/${BUILDERS[backend]}`, PROJECT));
}

/** The command itself, which starts the role that its first argument names. */
// eslint-disable-next-line no-restricted-syntax -- this is the table
export const COMMAND = fileURLToPath(new URL("bin/patchbay.js", PROJECT));
