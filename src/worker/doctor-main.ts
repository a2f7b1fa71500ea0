/** @file `patchbay doctor`. */
import { parseArgs } from "node:util";
import { doctorText, examine } from "./doctor.js";

const { values } = parseArgs({
  args: process.argv.slice(3),
  options: { json: { type: "boolean", default: false }, build: { type: "string" } },
});

if (values.build === undefined) {
  const report = await examine();
  process.stdout.write(`${values.json ? JSON.stringify(report) : doctorText(report)}\n`);
} else {
  process.stderr.write(`patchbay: --build ${values.build}: is not built yet; this version computes on wasm only\n`);
  process.exitCode = 2;
}
