/** @file What an event, a status and run.json cost does not depend on how many shards the run has. */
import { expect, test, vi } from "vitest";
import { must } from "../../../src/base/assert.js";
import { clusterStatus } from "../../../src/coordinator/explain.js";
import { describeRun } from "../../../src/coordinator/run-file.js";
import { ShardList } from "../../../src/coordinator/shard-list.js";
import type { ShardState } from "../../../src/coordinator/shard.js";
import type { CoordinatorState, RunProgress } from "../../../src/coordinator/state.js";
import type { Plan } from "../../../src/plan/plan.js";
import { StageShards } from "../../../src/plan/stage-shards.js";
import type { RunFile } from "../../../src/run/run-folder.js";
import { runOf, Scenario } from "./scenario.js";

const SHARDS = 100_000;

/** A run of 100,000 shards of which one is done, one is tried again, one is given up, and three others are leased. */
function largeRun(): Scenario {
  const s = new Scenario({ budgets: { lost: 3, memory: 1, application: 0 } });
  s.attach("a");
  s.attach("b");
  s.tell({ kind: "runAdded", run: runOf("r", { first: [SHARDS] }) });
  s.complete("a", "first.00000");
  s.fail("a", "first.00002", "engine_died");
  s.fail("b", "first.00001", "application");
  return s;
}

/** Every object that can be reached, but for those that are `known`. */
function objectsIn(value: unknown, known: ReadonlySet<object> = new Set(), found = new Set<object>()): Set<object> {
  if (typeof value !== "object" || value === null || known.has(value) || found.has(value)) return found;
  found.add(value);
  for (const part of partsOf(value)) objectsIn(part, known, found);
  return found;
}

function partsOf(value: object): unknown[] {
  return value instanceof Map ? [...(value as Map<unknown, unknown>).values()] : Object.values(value);
}

/** Entries of everything that a step has made, instead of taking it over from the state before. */
function copied(before: CoordinatorState, after: CoordinatorState): number {
  return [...objectsIn(after, objectsIn(before))].reduce((sum, made) => sum + partsOf(made).length, 0);
}

/** Counts from now on how often the phase of a shard is read that no event has changed since. */
function watchShards(s: Scenario): () => number {
  let looks = 0;
  const watched = (shard: ShardState): ShardState => ({
    ...shard,
    get phase() {
      looks++;
      return shard.phase;
    },
  });
  const withWatched = (run: RunProgress): RunProgress => ({
    ...run,
    stages: run.stages.map((stage) => ({ ...stage, shards: ShardList.from([...stage.shards].map(watched)) })),
  });
  s.state = { ...s.state, runs: new Map([...s.state.runs].map(([id, run]) => [id, withWatched(run)])) };
  looks = 0;
  return () => looks;
}

/** Everything that can happen to a shard, and the clock. */
function happenings(s: Scenario): Record<string, () => void> {
  return {
    heartbeat: () => {
      const leases = s.state.workers.get("a")?.leases.map(({ id }) => id) ?? [];
      s.tell({ kind: "heartbeat", worker: "a", session: s.sessionOf("a"), leases, engine: null });
    },
    complete: () => s.complete("a", must(s.held("a")[0], "shard")),
    fail: () => s.fail("a", must(s.held("a")[0], "shard"), "engine_died"),
    quarantine: () => s.fail("a", must(s.held("a")[0], "shard"), "application"),
    tick: () => s.wait(200),
    lose: () => s.wait(60_000),
    grant: () => s.attach("c"),
  };
}

test("an event of a run of 100,000 shards copies a few hundred entries", () => {
  const s = largeRun();
  for (const [event, act] of Object.entries(happenings(s))) {
    const before = s.state;
    act();
    expect(copied(before, s.state), event).toBeLessThan(1000);
  }
});

test("an event of a run of 100,000 shards looks at a few of them", () => {
  const s = largeRun();
  const looks = watchShards(s);
  for (const [event, act] of Object.entries(happenings(s))) {
    const before = looks();
    act();
    expect(looks() - before, event).toBeLessThan(1000);
  }
});

test("a status is made of totals: of 100,000 shards the failed ones are looked at", () => {
  const s = largeRun();
  const looks = watchShards(s);
  const [status] = clusterStatus(s.state, new Map(), 1000).runs;
  expect(looks()).toBeLessThan(1000);
  expect(status?.stages[0]?.reasons.map(({ shards }) => shards)).toEqual([1, SHARDS - 6]);
  expect(status?.quarantined.map(({ shard }) => shard)).toEqual(["first.00001"]);
});

test("run.json is made of totals: of 100,000 shards those that were given up are looked at", () => {
  const s = largeRun();
  const looks = watchShards(s);
  const promptBlocks = Array.from({ length: SHARDS }, (_, i) => [i]);
  const shards = new StageShards("first", promptBlocks, { blocks: [0, SHARDS] });
  const made = vi.spyOn(shards, "at");
  const plan = { stages: [{ id: "first", task: { kind: "noop" }, shards }] } as unknown as Plan;
  const file = { counts: { prompts: 0, dropped: 0, retries: 5, workers: 0 }, warnings: [] } as unknown as RunFile;
  const written = describeRun({ file, plan }, s.run(), 2, 0);
  expect(looks()).toBeLessThan(1000);
  expect(made.mock.calls).toEqual([[1]]);
  expect(written.counts).toMatchObject({ shards: SHARDS, done: 1, quarantined: 1, retries: 5 + 1, workers: 2 });
  expect(written.quarantined).toMatchObject([{ shard: "first.00001", code: "application", prompts: [1] }]);
});
