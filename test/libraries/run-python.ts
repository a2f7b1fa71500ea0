/** @file Runs a script of test/independent that asks Python libraries; where they are not installed, the test is left out and says so. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, type TestContext } from "vitest";

/** What the script ends with where a library is missing. */
const MISSING = 3;

/** What the script printed. The Python is that of `PYTHON`, or `python3`. */
export function askLibraries(context: TestContext, script: string): unknown {
  const path = fileURLToPath(new URL(`../independent/${script}`, import.meta.url));
  const python = process.env["PYTHON"] ?? "python3";
  const { status, stdout, stderr, error } = spawnSync(python, [path], { encoding: "utf8", maxBuffer: 2 ** 28 });
  if (status === MISSING || error !== undefined) {
    const why = error?.message ?? stderr.trim().split("\n").at(-1) ?? "";
    console.warn(`SKIPPED, nothing was compared: ${context.task.name}: ${why}. Name a Python that has it in PYTHON.`);
    context.skip(why);
  }
  expect(status, stderr).toBe(0);
  return JSON.parse(stdout);
}
