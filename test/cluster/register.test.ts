/** @file A method and an experiment from a module of their own go all the way from the sweep to artifacts and report. */
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readSafetensorsFile } from "../../src/weights/safetensors.js";
import { type Ended, start } from "./command.js";

const TINY_A = resolve("test/fixtures/tiny-a");
const REGISTER = resolve("test/cluster/toy-register.js");
const folder = mkdtempSync(join(tmpdir(), "patchbay-register-"));
const sweep = join(folder, "sweep.yaml");
const artifact = (name: string): string => join(folder, "run", "artifacts", name);
const run = (register: string, ...flags: readonly string[]): Promise<Ended> =>
  start(["run", sweep, "--out", join(folder, "run"), "--backend", "wasm", ...flags], {
    ...process.env,
    PATCHBAY_REGISTER: register,
  }).ended;

beforeAll(async () => {
  writeFileSync(
    sweep,
    `name: toys
model: { path: ${TINY_A}/model }
saes: { path: ${TINY_A}/saes }
dataset: { path: ${TINY_A}/data/pairs.jsonl, limit: 6 }
scores: [{ name: three, method: three }, { name: ig, method: ig, steps: 3 }]
truth: { positions: [-1], errors: { sites: [resid_post] } }
tokens: true
`,
  );
  const { code, stderr } = await run(REGISTER, "--workers", "2");
  expect([code, stderr]).toEqual([0, ""]);
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe("a register that PATCHBAY_REGISTER names", () => {
  it("has its method's scores beside the product's, and its experiment's artifact", async () => {
    const [three, ig] = await Promise.all(
      ["three", "ig"].map(async (name) => (await readSafetensorsFile(artifact(`scores-${name}.safetensors`))).arrays),
    );
    expect(three?.size).toBeGreaterThan(0);
    expect([...(three ?? [])]).toEqual([...(ig ?? [])]);
    const { counts } = JSON.parse(readFileSync(artifact("differing-tokens.json"), "utf8")) as { counts: number[] };
    expect(counts).toHaveLength(6);
    expect(Math.min(...counts)).toBeGreaterThan(0);
  });

  it("is in the report by its label and its section", () => {
    const page = readFileSync(join(folder, "run", "report.html"), "utf8");
    expect(page).toContain("How well do three-point gradient");
    expect(page).toContain("In how many tokens do prompts differ?");
    expect(page).toMatch(/Tokens that differ: \d+\./);
  });

  it("has the price of what is counted, and runs what is not", async () => {
    const { code, stdout } = await run(REGISTER, "--estimate", "--json");
    expect(code).toBe(0);
    expect(Object.keys((JSON.parse(stdout) as { stages: object }).stages)).toContain("scores-three");
  });

  it("is part of the run's code: another one does not continue the run", async () => {
    const other = join(import.meta.dirname, "toy-register-changed.js");
    copyFileSync(REGISTER, other);
    try {
      writeFileSync(other, `${readFileSync(REGISTER, "utf8")}\n`);
      rmSync(join(folder, "run", "report.html"));
      const { code, stderr } = await run(other);
      expect(code).toBe(2);
      expect(stderr).toMatch(/was begun on another environment \(code: was/);
    } finally {
      rmSync(other);
    }
  });

  it("that is not there, or that exports none, is named with what to do", async () => {
    const empty = join(folder, "empty.mjs");
    writeFileSync(empty, "export {};\n");
    expect((await run(join(folder, "missing.js"))).stderr).toMatch(
      /PATCHBAY_REGISTER: (cannot load|there is no file) .*missing\.js/,
    );
    expect((await run(empty)).stderr).toMatch(/PATCHBAY_REGISTER: .*empty\.mjs exports no register/);
  });
});
