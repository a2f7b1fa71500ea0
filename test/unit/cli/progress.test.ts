import { expect, test } from "vitest";
import { progressLine } from "../../../src/cli/progress.js";
import type { RunStatus, StageStatus } from "../../../src/wire/messages.js";

function stage(name: string, change: Partial<StageStatus>): StageStatus {
  return {
    ...{ stage: name, state: "waiting", reason: "", shards: 10, done: 0, running: 0, waiting: 10, quarantined: 0 },
    ...{ engineSeconds: 0, seconds: 0, units: {}, freshUnits: {}, reasons: [] },
    ...change,
  };
}

function line(...stages: StageStatus[]): string {
  const run = { run: "r", name: "n", planHash: "", folder: "", state: "running", reason: "", seconds: 0 } as const;
  const status: RunStatus = { ...run, stages, quarantined: [], warnings: [] };
  return progressLine(status);
}

test("a line has all shards, then the open stages with their rate and the time that is left", () => {
  const open = stage("truth-feature", { state: "open", done: 4, seconds: 20, freshUnits: { "node-prompts": 104_200 } });
  expect(line(stage("means", { state: "reduced", done: 10 }), open)).toBe(
    "14/20 shards · truth-feature 4/10, 5,210 node-prompts/s, about 30 s left",
  );
});

test("nothing is said of a rate or of time before a shard is done", () => {
  expect(line(stage("means", { state: "open" }), stage("circuits", { state: "reducing", done: 10 }))).toBe(
    "10/20 shards · means 0/10 · circuits reducing",
  );
});

test("of many open stages three are shown, and a slow rate keeps its digits", () => {
  const open = (name: string): StageStatus =>
    stage(name, { state: "open", done: 5, seconds: 100, freshUnits: { prompts: 42 } });
  expect(line(...["a", "b", "c", "d"].map(open))).toBe(
    `20/40 shards · ${["a", "b", "c"].map((name) => `${name} 5/10, 0.42 prompts/s, about 2 min left`).join(" · ")}`,
  );
});
