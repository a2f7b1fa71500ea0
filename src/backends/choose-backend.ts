/** @file The choice of a backend, and the environment of engines that use it on this machine. */
import { availableParallelism } from "node:os";
import { examineBackends, measuredOnce } from "./backend-measures.js";
import { BACKENDS, probeBackend, type Backend } from "./backend-probe.js";
import { codeVersion } from "../base/code-version.js";
import type { Environment } from "../base/environment.js";
import { badInput, PatchbayError } from "../base/errors.js";
import { fastestBackend } from "./fastest-backend.js";
import { tfjsVersion } from "./tfjs-version.js";

/** What `--backend` takes. */
const CHOICES = ["auto", ...BACKENDS] as const;

/** A backend, its device, and why it was taken. */
export interface BackendChoice {
  readonly backend: Backend;
  readonly device: string;
  readonly reason: string;
}

/** Below this width a layer's matrices are so small that wasm is about as fast as torch. */
const SMALL_D_MODEL = 256;

/**
 * The backend that `--backend` names. `auto` is wasm for a small model: it is about as fast there, and its bits depend neither on
 * the processor nor on the number of threads. For any other model it is the one that multiplies matrices fastest on this machine.
 * @param dModel - width of the sweep's model.
 * @throws PatchbayError `not_built` for a backend that is not here; `bad_input` for any other name.
 */
export function chooseBackend(name: string, dModel: number): BackendChoice {
  const backend = CHOICES.find((known) => known === name);
  if (backend === undefined)
    throw badInput(`expected one of ${CHOICES.join(", ")}, got ${name}`, { field: "--backend" });
  if (backend === "auto") return dModel < SMALL_D_MODEL ? wasm("the model is small") : fastest();
  const { device, problem } = probeBackend(backend);
  if (device !== undefined) return { backend, device, reason: `--backend ${name}: ${backend} loads here` };
  throw new PatchbayError("not_built", `--backend ${name}: ${problem}; or use wasm, which runs everywhere`);
}

const wasm = (reason: string): BackendChoice => ({
  backend: "wasm",
  device: "cpu",
  reason: `--backend auto: ${reason}`,
});

/** What the measurements of `patchbay doctor` say, which are taken now where they were not before. */
function fastest(): BackendChoice {
  const found = examineBackends(measuredOnce);
  const first = fastestBackend(found);
  if (first === undefined || first.device === null) return wasm("no backend could be measured");
  const words = found.map(({ name, measures, problem }) =>
    measures === undefined ? `${name}: ${problem}` : `${name} multiplies at ${String(measures.gemm_gflops)} GFLOP/s`,
  );
  return { backend: first.name, device: first.device, reason: `--backend auto: ${words.join("; ")}` };
}

/** What `engine.threads: auto` becomes for `workers` engines on this machine. wasm computes on one thread in Node. */
export function autoThreads(backend: Backend, workers: number): number {
  return backend === "wasm" ? 1 : Math.max(1, Math.floor(availableParallelism() / workers));
}

/** The environment of engines started here. wasm's arithmetic does not depend on the processor. */
export function environmentOf({ backend, device }: BackendChoice, threads: number, dtype: string): Environment {
  return { code: codeVersion(), backend, device, threads, dtype, tfjs: tfjsVersion(backend) };
}
