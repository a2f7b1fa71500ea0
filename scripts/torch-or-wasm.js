/** @file The backend of scripts that compute much: torch where it can be built, else wasm, with a word on what that costs. */

/** Builds the libtorch backend where it is not built. @returns `torch`, or `wasm` where it cannot be built. */
export async function torchOrWasm(cost) {
  const { buildNative } = await import("./build-native.js");
  const { problem } = await buildNative();
  if (problem === undefined) return "torch";
  console.log(`The libtorch backend cannot be built here, so this runs on wasm, which takes ${cost}: ${problem}`);
  return "wasm";
}
