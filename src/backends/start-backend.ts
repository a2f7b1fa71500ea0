/** @file Starts a tfjs backend. The only place that imports one, and the only place that registers gradients. */
import * as tf from "@tensorflow/tfjs-core";
import type { Backend } from "./backend-probe.js";
import { PatchbayError } from "../base/errors.js";
import { registerGradients } from "./gradients.js";
import { startTensorflow } from "./tensorflow.js";
import { startTorch } from "./torch.js";
import { registerWasmKernels } from "./wasm-kernels.js";

const HOOKED = ["uncaughtException", "unhandledRejection"] as const;

/**
 * Makes `name` the backend of every tfjs call in this process.
 *
 * @throws PatchbayError `not_built` for a backend that has not been built or does not load; `application` where it does not start.
 */
export async function startBackend(name: Backend): Promise<void> {
  if (name === "tensorflow") await startTensorflow();
  else if (name === "torch") await startTorch();
  else if (tf.getBackend() !== "wasm") await withoutNewListeners(startWasm);
  registerGradients();
}

let wasmLoaded = false;

async function startWasm(): Promise<void> {
  await import("@tensorflow/tfjs-backend-wasm");
  if (!wasmLoaded) registerWasmKernels();
  wasmLoaded = true;
  if (!(await tf.setBackend("wasm"))) throw new PatchbayError("application", "the wasm backend did not start");
  await tf.ready();
}

/** Loading wasm adds process listeners that rethrow, which would hide our own handling: removes what `start` added. */
async function withoutNewListeners(start: () => Promise<void>): Promise<void> {
  const before = HOOKED.map((event) => process.rawListeners(event));
  await start();
  for (const [i, event] of HOOKED.entries())
    for (const listener of process.rawListeners(event))
      if (before[i]?.includes(listener) !== true) process.removeListener(event, listener as () => void);
}
