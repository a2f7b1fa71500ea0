import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Plan } from "../../../src/plan/plan.js";
import { readPlanOnce } from "../../../src/run/plan-cache.js";
import { createRunFolder, runPaths } from "../../../src/run/run-folder.js";
import { hashOfPlan, planTexts } from "../../../src/plan/stored-plan.js";

const planOf = (seed: number): Plan => ({ version: 2, sweep: { seed }, stages: [] }) as unknown as Plan;
const hashOf = hashOfPlan;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "patchbay-plan-"));
  createRunFolder(folder, planOf(1));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

test("a plan that has not changed is not read again", () => {
  const first = readPlanOnce(folder, hashOf(planOf(1)));
  expect(first).toEqual(planOf(1));
  expect(readPlanOnce(folder, hashOf(planOf(1)))).toBe(first);
});

test("a plan that is not the one that was read last is read and checked", () => {
  readPlanOnce(folder, hashOf(planOf(1)));
  expect(() => readPlanOnce(folder, "other")).toThrow("expected the plan other");
  const file = runPaths(folder).plan;
  appendFileSync(file, " ");
  expect(readPlanOnce(folder, hashOf(planOf(1)))).toEqual(planOf(1));
  writeFileSync(file, planTexts(planOf(22)).plan);
  expect(() => readPlanOnce(folder, hashOf(planOf(1)))).toThrow("the file was changed");
  writeFileSync(file, planTexts(planOf(1)).plan);
  expect(readPlanOnce(folder, hashOf(planOf(1)))).toEqual(planOf(1));
  appendFileSync(runPaths(folder).planPrompts, " ");
  expect(() => readPlanOnce(folder, hashOf(planOf(1)))).toThrow("plan-prompts.json");
  rmSync(file);
  expect(() => readPlanOnce(folder, hashOf(planOf(1)))).toThrow("no such file");
});
