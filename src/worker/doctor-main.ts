/** @file `patchbay doctor`. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { doctorText, examine } from "./doctor.js";

const { values } = parseArgs({
  args: process.argv.slice(3),
  options: { json: { type: "boolean", default: false }, build: { type: "string" } },
});

/** Builds a backend, with PyPI's libtorch where this machine has none. @returns the exit code. */
function build(name: string): number {
  if (name !== "torch") {
    process.stderr.write(`patchbay: --build ${name}: expected torch; no other backend is built here in this version\n`);
    return 2;
  }
  const script = fileURLToPath(new URL("../../scripts/build-native.js", import.meta.url));
  return spawnSync(process.execPath, [script, "--fetch"], { stdio: "inherit" }).status ?? 1;
}

if (values.build === undefined) {
  const report = await examine();
  process.stdout.write(`${values.json ? JSON.stringify(report) : doctorText(report)}\n`);
} else {
  process.exitCode = build(values.build);
}
