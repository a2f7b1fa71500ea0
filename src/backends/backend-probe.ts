/** @file The device that a backend computes on, on this machine. */
import { probeTensorflow } from "./tensorflow-probe.js";
import { probeTorch, type BackendProbe } from "./torch-probe.js";

/** Backends, in the order in which `patchbay doctor` lists them. */
export const BACKENDS = ["wasm", "torch", "tensorflow"] as const;
/** The name of a backend. */
export type Backend = (typeof BACKENDS)[number];

/** wasm is everywhere, and its arithmetic does not depend on the processor; a native backend is loaded in a process of its own. */
export function probeBackend(backend: string): BackendProbe {
  if (backend === "torch") return probeTorch();
  return backend === "tensorflow" ? probeTensorflow() : { device: "cpu" };
}
