/** @file The environment of runs started here, and the choice of a backend. */
import { availableParallelism } from "node:os";
import { codeVersion } from "../base/code-version.js";
import { badInput, PatchbayError } from "../base/errors.js";
import type { Environment } from "../plan/run-folder.js";

/** Names that `--backend` takes. */
export const BACKENDS = ["auto", "torch", "tensorflow", "wasm"] as const;

/**
 * The backend that `--backend` names; `auto` is the fastest that is present.
 * @throws not_built for a backend of the contract that this version lacks; bad_input for any other name.
 */
export function chooseBackend(name: string): "wasm" {
  if (name === "auto" || name === "wasm") return "wasm";
  if (name === "torch" || name === "tensorflow") {
    throw new PatchbayError("not_built", `--backend ${name}: is not built yet; use wasm, which runs everywhere`);
  }
  throw badInput(`expected one of ${BACKENDS.join(", ")}, got ${name}`, { field: "--backend" });
}

/** What `engine.threads: auto` becomes for `workers` engines on this machine. wasm computes on one thread in Node. */
export function autoThreads(backend: "wasm" | "torch", workers: number): number {
  return backend === "wasm" ? 1 : Math.max(1, Math.floor(availableParallelism() / workers));
}

/** The environment of engines started here. wasm's arithmetic does not depend on the processor. */
export function environmentOf(backend: "wasm", threads: number, dtype: string): Environment {
  return { code: codeVersion(), backend, device: "cpu", threads, dtype };
}
