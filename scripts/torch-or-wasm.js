/** @file Backend and engines of scripts that compute much: torch where it can be built, else wasm, with a word on what that costs. */
import { availableParallelism, freemem } from "node:os";

/** Float32 weights of Gemma 3 270M, activations and the runtime of one engine, in bytes, with room to spare. */
const ENGINE_MEMORY = 3e9;

/** How many engines on Gemma 3 270M this machine has cores and memory for: one at least, four at most. */
export function engineCount() {
  return Math.max(1, Math.min(4, availableParallelism(), Math.floor(freemem() / ENGINE_MEMORY)));
}

/** Builds the libtorch backend where it is not built. @returns `torch`, or `wasm` where it cannot be built. */
export async function torchOrWasm(cost) {
  const { buildNative } = await import("./build-native.js");
  const { problem } = await buildNative();
  if (problem === undefined) return "torch";
  console.log(`The libtorch backend cannot be built here, so this runs on wasm, which takes ${cost}: ${problem}`);
  return "wasm";
}
