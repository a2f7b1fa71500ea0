/**
 * @file `npm run demo:real`: from a bare clone to the reports of data/demo-real.yaml and data/demo-real-ig.yaml on the pretrained
 * Gemma 3 270M, and of data/demo-real-saes.yaml and data/demo-real-saes-ig.yaml where SAEs were trained for it. It fetches the
 * weights and builds the libtorch backend where that can be built; wasm does the same work without it, several times slower. Further
 * arguments go to `patchbay run`; `--out DIR` to the first sweep, DIR-ig, DIR-saes and DIR-saes-ig to the others.
 */
import { existsSync } from "node:fs";
import { ensureInstalled, ROOT, runStep } from "./install.js";
import { engineCount, torchOrWasm } from "./torch-or-wasm.js";

const SWEEPS = { "data/demo-real.yaml": "", "data/demo-real-ig.yaml": "-ig" };
const SAE_SWEEPS = { "data/demo-real-saes.yaml": "-saes", "data/demo-real-saes-ig.yaml": "-saes-ig" };
/** The card of a set of SAEs is written last. */
const SAE_CARD = `${ROOT}.cache/gemma-3-270m-saes/card.json`;

/** The sweeps that can run here. */
function sweeps() {
  if (existsSync(SAE_CARD)) return { ...SWEEPS, ...SAE_SWEEPS };
  console.log(
    "Whole sites, heads and MLPs only: for SAE features and errors run `npm run train-saes:gemma3-270m` before.",
  );
  return SWEEPS;
}

/** The arguments with another name for the folder after `--out`. */
function withSuffix(args, suffix) {
  return args.map((arg, i) => (args[i - 1] === "--out" ? arg + suffix : arg));
}

async function main() {
  if (!ensureInstalled() || !runStep("npm", ["run", "--silent", "build"])) return false;
  if (!runStep(process.execPath, [`${ROOT}bin/patchbay.js`, "fetch", "gemma-3-270m"])) return false;
  const backend = await torchOrWasm("hours");
  const options = ["--backend", backend, "--workers", String(engineCount())];
  return Object.entries(sweeps()).every(([sweep, suffix]) =>
    runStep(process.execPath, [
      `${ROOT}bin/patchbay.js`,
      "run",
      sweep,
      ...options,
      ...withSuffix(process.argv.slice(2), suffix),
    ]),
  );
}

process.exitCode = (await main()) ? 0 : 1;
