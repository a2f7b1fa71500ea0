#!/usr/bin/env node
// Starts the role that the first argument names. The roles never import one another, so the choice is made here.
import { existsSync } from "node:fs";

const ROLES = {
  coordinator: "coordinator/main.js",
  worker: "worker/main.js",
  doctor: "worker/doctor-main.js",
  "train-saes": "training/train-saes-main.js",
  calibrate: "worker/calibrate-main.js",
};

// `help ROLE` is the role's own --help.
if (process.argv[2] === "help" && process.argv[3] in ROLES) process.argv.splice(2, 2, process.argv[3], "--help");
const [, , command] = process.argv;
const entry = new URL(`../dist/${ROLES[command] ?? "cli/main.js"}`, import.meta.url);
if (existsSync(entry)) {
  await import(entry.href);
} else {
  process.stderr.write("patchbay: this checkout is not built; run `npm ci && npm run build` first\n");
  process.exitCode = 2;
}
