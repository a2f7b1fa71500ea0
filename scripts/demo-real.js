/**
 * @file `npm run demo:real`: from a bare clone to the report of data/demo-real.yaml on the pretrained Gemma 3 270M. It fetches
 * the weights and builds the libtorch backend where that can be built; wasm does the same work without it, several times
 * slower. Further arguments go to `patchbay run`.
 */
import { ensureInstalled, ROOT, runStep } from "./install.js";

/** Each engine holds the model's float32 weights, 1.1 GB. A libtorch engine takes every core; a wasm engine one. */
const WORKERS = { torch: "1", wasm: "2" };

async function buildTorch() {
  const { buildNative } = await import("./build-native.js");
  const { problem } = await buildNative();
  if (problem === undefined) return "torch";
  console.log(`The libtorch backend cannot be built here, so this runs on wasm, which takes hours: ${problem}`);
  return "wasm";
}

async function main() {
  if (!ensureInstalled() || !runStep("npm", ["run", "--silent", "build"])) return false;
  if (!runStep(process.execPath, [`${ROOT}scripts/fetch-gemma3-270m.js`])) return false;
  const backend = await buildTorch();
  const options = ["--backend", backend, "--workers", WORKERS[backend], ...process.argv.slice(2)];
  return runStep(process.execPath, [`${ROOT}bin/patchbay.js`, "run", "data/demo-real.yaml", ...options]);
}

process.exitCode = (await main()) ? 0 : 1;
