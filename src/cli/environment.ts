/** @file The environment of runs started here, and the choice of a backend. */
import { availableParallelism } from "node:os";
import { probeBackend } from "../base/backend-probe.js";
import { codeVersion } from "../base/code-version.js";
import type { Environment } from "../base/environment.js";
import { badInput, PatchbayError } from "../base/errors.js";

/** Names that `--backend` takes. */
export const BACKENDS = ["auto", "torch", "tensorflow", "wasm"] as const;

/** A backend, its device, and why it was taken. */
export interface BackendChoice {
  readonly backend: "wasm" | "torch" | "tensorflow";
  readonly device: string;
  readonly reason: string;
}

/** Below this width a layer's matrices are so small that wasm is about as fast as torch. */
const SMALL_D_MODEL = 256;

/**
 * The backend that `--backend` names. `auto` is wasm for a small model: it is about as fast there, and its bits depend neither on
 * the processor nor on the number of threads. For any other model it is torch where that loads, else wasm, which runs everywhere.
 * @param dModel - width of the sweep's model.
 * @throws not_built for a backend that is not here; bad_input for any other name.
 */
export function chooseBackend(name: string, dModel: number): BackendChoice {
  if (name === "wasm") return wasm("--backend wasm");
  if (name === "auto" && dModel < SMALL_D_MODEL) return wasm("--backend auto: the model is small");
  const found = BACKENDS.find((known) => known === name);
  if (found === undefined)
    throw badInput(`expected one of ${BACKENDS.join(", ")}, got ${name}`, { field: "--backend" });
  const backend = found === "tensorflow" ? found : "torch";
  const { device, problem } = probeBackend(backend);
  if (device !== undefined) return { backend, device, reason: `--backend ${name}: ${backend} loads here` };
  if (name === "auto") return wasm(`--backend auto: ${problem}`);
  throw new PatchbayError("not_built", `--backend ${name}: ${problem}; or use wasm, which runs everywhere`);
}

const wasm = (reason: string): BackendChoice => ({ backend: "wasm", device: "cpu", reason });

/** What `engine.threads: auto` becomes for `workers` engines on this machine. wasm computes on one thread in Node. */
export function autoThreads(backend: BackendChoice["backend"], workers: number): number {
  return backend === "wasm" ? 1 : Math.max(1, Math.floor(availableParallelism() / workers));
}

/** The environment of engines started here. wasm's arithmetic does not depend on the processor. */
export function environmentOf({ backend, device }: BackendChoice, threads: number, dtype: string): Environment {
  return { code: codeVersion(), backend, device, threads, dtype };
}
