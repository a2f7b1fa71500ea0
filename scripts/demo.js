/** @file `npm run demo`: from a bare clone to the report of data/demo.yaml. Further arguments go to `patchbay run`. */
import { ensureInstalled, ROOT, runStep } from "./install.js";

const ready = ensureInstalled() && runStep("npm", ["run", "--silent", "build"]);
const ran =
  ready && runStep(process.execPath, [`${ROOT}bin/patchbay.js`, "run", "data/demo.yaml", ...process.argv.slice(2)]);
process.exitCode = ran ? 0 : 1;
