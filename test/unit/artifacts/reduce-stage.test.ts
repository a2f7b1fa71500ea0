import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { canonicalJson } from "../../../src/base/hash.js";
import type { Plan } from "../../../src/plan/plan.js";
import { createRunFolder, writeRunFile } from "../../../src/run/run-folder.js";
import { reduceStage } from "../../../src/artifacts/reduce-stage.js";
import { readRunContents } from "../../../src/report/run-contents.js";
import { REGISTER } from "../../../src/experiments/registry.js";
import { NO_SHARDS, StageShards } from "../../../src/plan/stage-shards.js";
import { hashOfPlan } from "../../../src/plan/stored-plan.js";

vi.mock(import("../../../src/base/hash.js"), async (original) => {
  const hash = await original();
  return { ...hash, canonicalJson: vi.fn(hash.canonicalJson) };
});

const STAGES = ["first", "second", "third"];
const PLAN = {
  version: 2,
  sweep: { name: "run", dtype: "float32", scores: [] },
  fingerprints: { model: "m", saes: null, dataset: "d" },
  prompts: [],
  promptBlocks: [],
  stages: STAGES.map((id) => ({
    id,
    task: { kind: "noop" },
    dependsOn: [],
    reads: [],
    shards: new StageShards(id, [], NO_SHARDS),
  })),
} as unknown as Plan;

test("the reductions of a run and its report read and hash the plan once", async () => {
  const folder = mkdtempSync(join(tmpdir(), "patchbay-reduce-"));
  createRunFolder(folder, PLAN);
  writeRunFile(folder, {
    version: 1,
    name: "run",
    status: "running",
    reason: "",
    plan_hash: hashOfPlan(PLAN),
    sweep: {},
    inputs: { model: "/m", saes: null, dataset: "/d", saeOptions: {} },
    fingerprints: {
      ...{ ...PLAN.fingerprints, code: "1", backend: "wasm", device: "cpu", threads: 1, dtype: "float32" },
      ...{ tfjs: "t" },
    },
    counts: { prompts: 0, dropped: 0, shards: 0, done: 0, quarantined: 0, retries: 0, workers: 0 },
    quarantined: [],
    timings: {},
    weight_loading_seconds: 0,
    warnings: [],
    allow_partial: false,
    started: "2026-01-01T00:00:00.000Z",
    ended: null,
  });
  vi.mocked(canonicalJson).mockClear();
  for (const stage of STAGES) await reduceStage(REGISTER.experiments, folder, stage);
  expect((await readRunContents(REGISTER.methods, folder)).plan).toEqual(PLAN);
  expect(canonicalJson).toHaveBeenCalledTimes(1);
  rmSync(folder, { recursive: true });
});
