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

function line(stages: readonly StageStatus[], seconds = 0, expected = {}): string {
  const run = { run: "r", name: "n", planHash: "", folder: "", state: "running", reason: "", seconds } as const;
  const status: RunStatus = { ...run, stages, quarantined: [], warnings: [] };
  return progressLine(status, expected);
}

/** A stage of which shards were computed, each in 5 engine seconds. */
const measured = (name: string, done: number, change: Partial<StageStatus> = {}): StageStatus =>
  stage(name, { state: "open", done, seconds: 20, engineSeconds: 5 * done, units: { rows: 100 * done }, freshUnits: { rows: 100 * done }, ...change }); // prettier-ignore

test("a line has all shards, then the open stages with their rate, then the time that all stages have left", () => {
  const units = { "node-prompts": 104_200 };
  const open = measured("truth-feature", 4, { units, freshUnits: units });
  expect(line([measured("means", 10, { state: "reduced" }), open], 70)).toBe(
    "14/20 shards · truth-feature 4/10, 5,210 node-prompts/s · about 30 s left",
  );
});

test("nothing is said of a rate or of time before a shard is done", () => {
  expect(line([stage("means", { state: "open" }), stage("circuits", { state: "reducing", done: 10 })])).toBe(
    "10/20 shards · means 0/10 · circuits reducing",
  );
});

test.each([
  [0.416, "0.42 prompt rows/s"],
  [9.96, "10 prompt rows/s"],
  [99.7, "100 prompt rows/s"],
  [1234.5, "1,235 prompt rows/s"],
])("a rate of %d is written %s", (rate, text) => {
  const units = { "prompt rows": rate * 100 };
  expect(line([stage("means", { state: "open", done: 5, seconds: 100, freshUnits: units })])).toContain(`, ${text}`);
});

test("of many open stages three are shown", () => {
  const open = ["a", "b", "c", "d"].map((name) => stage(name, { state: "open" }));
  expect(line(open)).toBe("0/40 shards · a 0/10 · b 0/10 · c 0/10");
});

test("two engines that work side by side halve the time that is left", () => {
  expect(line([measured("means", 5)], 25)).toMatch(/about 25 s left$/);
  expect(line([measured("means", 5)], 12.5)).toMatch(/about 13 s left$/);
});

test("stages that have not begun count as they were expected to, as far as the others kept to it", () => {
  const stages = [measured("means", 10, { state: "reduced" }), stage("truth", {})];
  expect(line(stages, 50)).toBe("10/20 shards");
  expect(line([measured("means", 5), stage("truth", {})], 25)).toMatch(/at least 25 s left$/);
  expect(line(stages, 50, { means: 50, truth: 80 })).toMatch(/about 80 s left$/);
  expect(line(stages, 50, { means: 25, truth: 80 })).toMatch(/about 3 min left$/);
});

test("records of an earlier start took no time of this one, and given-up shards take none", () => {
  const continued = measured("means", 8, { freshUnits: { rows: 200 } });
  expect(line([continued], 10)).toMatch(/about 10 s left$/);
  expect(line([{ ...continued, quarantined: 1 }], 10)).toMatch(/about 5 s left$/);
});
