/** @file `npm run bench:fullsize` at a tiny shape: its checkpoint is one that Patchbay reads, and nothing of it stays behind. */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";

const BENCH = fileURLToPath(new URL("../../bench/fullsize/fullsize-bench.js", import.meta.url));

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "patchbay-fullsize-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** Runs the bench; `watch` sees its output as it comes. */
async function bench(flags: readonly string[], watch: (text: string, kill: () => void) => void = () => undefined) {
  const args = [BENCH, "--shape", "tiny", "--backend", "wasm", "--folder", join(folder, "weights"), ...flags];
  const child = spawn(process.execPath, [...args, "--results", join(folder, "results")]);
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString();
    watch(stdout, () => child.kill("SIGINT"));
  });
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, stderr, left: readdirSync(join(folder, "weights")) };
}

interface Results {
  readonly steps: readonly { step: string; units?: number; weights_loaded?: number; waited_seconds?: number }[];
}

it("computes every program on weights that do not fit, writes the figures, and removes the weights", async () => {
  const { code, stderr, left } = await bench([]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  expect(left).toEqual([]);
  const { steps } = JSON.parse(readFileSync(join(folder, "results/fullsize-tiny.json"), "utf8")) as Results;
  expect(steps.map(({ step }) => step)).toEqual(["plan", "open", "means", "scores-atp", "truth-error", "circuits"]);
  for (const stage of steps.slice(2)) {
    expect(stage.units).toBeGreaterThan(0);
    expect(stage.weights_loaded).toBeGreaterThan(0);
  }
  expect(readFileSync(join(folder, "results/fullsize-tiny.md"), "utf8")).toMatch(/\| truth-error \|/);
});

it("removes the weights when it is interrupted", async () => {
  let seen = 0;
  const { code, left } = await bench([], (text, kill) => {
    if (!text.includes('"plan"') || seen > 0) return;
    seen = readdirSync(join(folder, "weights")).length;
    kill();
  });
  expect(seen).toBe(1);
  expect(code).toBe(130);
  expect(left).toEqual([]);
});

it("removes the weights when the measuring process fails", async () => {
  const { code, stderr, left } = await bench(["--dtype", "bfloat16"]);
  expect(stderr).toMatch(/bfloat16[^]*measuring process ended with 1/);
  expect(code).toBe(1);
  expect(left).toEqual([]);
});
