#!/usr/bin/env node
// Starts the role that the first argument names. The roles never import one another, so the choice is made here.
import { existsSync } from "node:fs";

const ROLES = ["coordinator", "worker", "doctor", "train-saes", "calibrate"];
const ENTRIES = new URL("../dist/base/entries.js", import.meta.url);

// `help ROLE` is the role's own --help.
if (process.argv[2] === "help" && ROLES.includes(process.argv[3])) process.argv.splice(2, 2, process.argv[3], "--help");
const [, , command] = process.argv;
if (existsSync(ENTRIES)) {
  const { entryUrl } = await import(ENTRIES.href);
  await import(entryUrl(ROLES.includes(command) ? command : "cli").href);
} else {
  process.stderr.write("patchbay: this checkout is not built; run `npm ci && npm run build` first\n");
  process.exitCode = 2;
}
