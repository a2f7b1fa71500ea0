/** @file `npm run demo`: from a bare clone to the report of data/demo.yaml. Further arguments go to `patchbay run`. */
import { availableParallelism } from "node:os";
import { ensureInstalled, ROOT, runStep } from "./install.js";

const ready = ensureInstalled() && runStep("npm", ["run", "--silent", "build"]);
const workers = String(Math.min(4, availableParallelism()));
const command = [`${ROOT}bin/patchbay.js`, "run", "data/demo.yaml", "--workers", workers, ...process.argv.slice(2)];
const ran = ready && runStep(process.execPath, command);
process.exitCode = ran ? 0 : 1;
