import { expect, test } from "vitest";
import type { ErrorCode } from "../../../src/base/errors.js";
import { must } from "../../../src/base/assert.js";
import { clusterStatus, explainShard } from "../../../src/coordinator/explain.js";
import { failureClass } from "../../../src/coordinator/failures.js";
import { runOf, Scenario } from "./scenario.js";

/** One shard and `workers` workers; fails it with `code` until it is quarantined. @returns the number of attempts. */
function attemptsUntilQuarantine(code: ErrorCode, workers: string[]): number {
  const s = new Scenario({ pipelineDepth: 1 });
  for (const worker of workers) s.attach(worker);
  s.tell({ kind: "runAdded", run: runOf("r", { first: [1], other: [20] }) });
  for (let attempts = 1; ; attempts++) {
    // Everybody else finishes what they have, so that the shard can go where it may.
    while (!workers.some((worker) => s.held(worker).includes("first.00000"))) {
      const busy = must(
        workers.find((worker) => s.held(worker).length > 0),
        "busy worker",
      );
      s.complete(busy, must(s.held(busy)[0], "shard"));
    }
    const holder = must(
      workers.find((worker) => s.held(worker).includes("first.00000")),
      "holder",
    );
    s.fail(holder, "first.00000", code);
    if (s.phases(0)[0] === "quarantined") return attempts;
  }
}

test.each<[ErrorCode, number]>([
  ["engine_died", 4],
  ["engine_stalled", 4],
  ["worker_lost", 4],
  ["out_of_memory", 2],
  ["application", 2],
  ["non_finite", 2],
  ["bad_input", 2],
])("%s is given up after %i attempts", (code, attempts) => {
  expect(attemptsUntilQuarantine(code, ["a", "b"])).toBe(attempts);
  expect(attemptsUntilQuarantine(code, ["a"])).toBe(attempts);
});

test("budgets are separate: a lost worker does not bring an application error closer to quarantine", () => {
  const s = new Scenario({ pipelineDepth: 1 });
  s.attach("a");
  s.tell({ kind: "runAdded", run: runOf("r", { first: [1] }) });
  for (let i = 0; i < 3; i++) s.fail("a", "first.00000", "engine_died");
  s.fail("a", "first.00000", "non_finite");
  expect(s.phases(0)).toEqual(["leased"]);
  s.fail("a", "first.00000", "non_finite");
  expect(s.phases(0)).toEqual(["quarantined"]);
  expect(explainShard(s.state, "r", "first.00000")).toMatch(
    /^quarantined after 5 failed attempts: non_finite: because/,
  );
});

test("a shard that failed by its own fault goes to another worker, even if the first one is free", () => {
  const s = new Scenario({ pipelineDepth: 1 });
  s.attach("a");
  s.attach("b");
  s.tell({ kind: "runAdded", run: runOf("r", { first: [2] }) });
  s.fail("a", "first.00000", "non_finite");
  expect(s.held("a")).toEqual([]);
  s.complete("b", "first.00001");
  expect(s.held("b")).toEqual(["first.00000"]);
});

test("a shard that was lost with its engine goes to another worker, and to the same one only where there is no other", () => {
  const s = new Scenario({ pipelineDepth: 1 });
  s.attach("a");
  s.attach("b");
  s.tell({ kind: "runAdded", run: runOf("r", { first: [3] }) });
  s.fail("a", "first.00000", "engine_died");
  expect(s.held("a")).toEqual(["first.00002"]);
  s.tell({ kind: "workerDraining", worker: "b", session: s.sessionOf("b") });
  s.fail("a", "first.00002", "engine_died");
  expect(s.held("a")).toEqual(["first.00000"]);
});

test("a worker that fails three different shards in a row gets no more, as long as there is another", () => {
  const s = new Scenario({ pipelineDepth: 1 });
  s.attach("bad");
  s.attach("good");
  s.tell({ kind: "runAdded", run: runOf("r", { first: [9] }) });
  for (let i = 0; i < 3; i++) s.fail("bad", must(s.held("bad")[0], "shard"), "application");
  expect(s.held("bad")).toEqual([]);
  expect(s.effects).toContainEqual(
    expect.objectContaining({ kind: "log", text: expect.stringMatching(/^worker bad is cordoned/) as string }),
  );
  const session = s.sessionOf("good");
  s.tell({ kind: "workerDraining", worker: "good", session });
  expect(s.held("bad")).toHaveLength(1);
});

test("a success in between clears a worker's record", () => {
  const s = new Scenario({ pipelineDepth: 1 });
  s.attach("a");
  s.attach("b");
  s.tell({ kind: "runAdded", run: runOf("r", { first: [9] }) });
  for (const good of [false, false, true, false]) {
    const shard = must(s.held("a")[0], "shard");
    if (good) s.complete("a", shard);
    else s.fail("a", shard, "application");
  }
  expect(s.state.workers.get("a")).toMatchObject({ cordoned: null });
});

test("a failure under a lease that is not the shard's any more changes nothing", () => {
  const s = new Scenario({ pipelineDepth: 1 });
  s.attach("a");
  s.tell({ kind: "runAdded", run: runOf("r", { first: [1] }) });
  const old = s.leaseOf("a", "first.00000");
  s.fail("a", "first.00000", "engine_died");
  const failure = { code: "non_finite", message: "late", file: "", line: 0, field: "" } as const;
  s.tell({ kind: "shardFailed", worker: "a", session: s.sessionOf("a"), lease: old, failure });
  expect(s.shards(0)[0]).toMatchObject({ phase: "leased", spent: { lost: 1, application: 0 } });
});

test("every code has a class, and what is no machine's fault is the shard's", () => {
  expect(failureClass("corrupt_record")).toBe("application");
  expect(failureClass("nats_unreachable")).toBe("lost");
});

const SLEEPY = { pipelineDepth: 1 } as const;

/** Two workers and a run of nine shards; `bad` fails whatever it gets with `code`, `good` completes what it has in between. */
function besideAGoodWorker(code: ErrorCode): Scenario {
  const s = new Scenario(SLEEPY);
  s.attach("bad");
  s.attach("good");
  s.tell({ kind: "runAdded", run: runOf("r", { first: [9] }) });
  while (s.phases(0).some((phase) => phase !== "done" && phase !== "quarantined")) {
    const shard = s.held("bad")[0];
    if (shard !== undefined) s.fail("bad", shard, code);
    s.complete("good", must(s.held("good")[0], "shard"));
  }
  return s;
}

test.each<ErrorCode>(["engine_start_failed", "nats_unreachable", "disk_full", "hub_unreachable"])(
  "a worker that always fails with %s is cordoned, and costs no shard anything",
  (code) => {
    const s = besideAGoodWorker(code);
    expect(s.run()).toMatchObject({ state: "running", stages: [{ counts: { done: 9, quarantined: 0 } }] });
    expect(s.shards(0).map(({ spent }) => spent)).toEqual(
      Array.from({ length: 9 }, () => ({ lost: 0, memory: 0, application: 0 })),
    );
    expect(s.state.workers.get("bad")?.cordoned).toMatch(
      new RegExp(`^it failed 3 times in a row \\(first.*\\), the last time ${code}: because$`),
    );
    const { workers } = clusterStatus(s.state, new Map(), s.now);
    expect(workers.map(({ worker, state }) => [worker, state])).toEqual([
      ["bad", "cordoned"],
      ["good", "attached"],
    ]);
  },
);

test("a worker whose engine dies with each shard is cordoned before a shard is given up", () => {
  const s = besideAGoodWorker("engine_died");
  expect(s.run()).toMatchObject({ stages: [{ counts: { done: 9, quarantined: 0 } }] });
  expect(s.state.workers.get("bad")?.cordoned).toMatch(/engine_died/);
});

test("a log that is away from everybody is waited for: no shard is charged and nobody is cordoned", () => {
  const s = new Scenario(SLEEPY);
  s.attach("a");
  s.attach("b");
  s.tell({ kind: "runAdded", run: runOf("r", { first: [3] }) });
  s.complete("a", must(s.held("a")[0], "shard"));
  for (let minute = 0; minute < 15; minute++) {
    for (let second = 0; second < 60; second++) {
      s.wait(1000);
      for (const worker of ["a", "b"]) s.beat(worker);
    }
    for (const worker of ["a", "b"]) s.fail(worker, must(s.held(worker)[0], "shard"), "nats_unreachable");
  }
  expect(s.shards(0).map(({ spent }) => spent.lost)).toEqual([0, 0, 0]);
  expect([...s.state.workers.values()].map(({ cordoned }) => cordoned)).toEqual([null, null]);
});

test("a run whose only worker cannot start an engine ends, with the cause", () => {
  const s = new Scenario(SLEEPY);
  s.attach("only");
  s.tell({ kind: "runAdded", run: runOf("r", { first: [2] }) });
  for (let attempts = 0; s.held("only").length > 0; attempts++) {
    expect(attempts).toBeLessThan(20);
    s.fail("only", must(s.held("only")[0], "shard"), "engine_start_failed");
  }
  expect(s.run()).toMatchObject({ state: "failed" });
});

test("a cordoned worker that does its work when nobody else is there is trusted again", () => {
  const s = new Scenario(SLEEPY);
  s.attach("a");
  s.attach("b");
  s.tell({ kind: "runAdded", run: runOf("r", { first: [9] }) });
  for (let i = 0; i < 3; i++) s.fail("a", must(s.held("a")[0], "shard"), "engine_start_failed");
  expect(s.held("a")).toEqual([]);
  s.tell({ kind: "workerDetached", worker: "b", session: s.sessionOf("b") });
  s.complete("a", must(s.held("a")[0], "shard"));
  expect(s.state.workers.get("a")).toMatchObject({ cordoned: null, failedInARow: [] });
});
