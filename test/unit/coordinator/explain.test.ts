import { expect, test } from "vitest";
import { must } from "../../../src/base/assert.js";
import { clusterStatus, explainShard } from "../../../src/coordinator/explain.js";
import { codecs } from "../../../src/wire/codec.js";
import { ENVIRONMENT, runOf, Scenario } from "./scenario.js";
import { shardId } from "../../../src/plan/stage-shards.js";
import { RecordedShards } from "../../../src/coordinator/recorded-shards.js";

test("every shard that is not running has a reason a person can read", () => {
  const s = new Scenario({ pipelineDepth: 1 });
  s.tell({ kind: "runAdded", run: runOf("r", { first: [2], second: [1, "first"] }) });
  s.tell({ kind: "runAdded", run: runOf("q", { first: [1] }) });
  const why = (shard: string, run = "r"): string | null => explainShard(s.state, run, shard);
  expect(why("first.00000")).toBe("waiting: no worker is attached");
  expect(why("second.00000")).toBe("waiting for first");
  expect(why("first.00000", "q")).toBe("waiting: run r is before it");
  s.attach("gpu", { environment: { ...ENVIRONMENT, device: "cuda" } });
  s.attach("cpu");
  expect(why("first.00000")).toBeNull();
  expect(why("first.00001")).toBe("waiting for a free worker");
  s.fail("gpu", "first.00000", "engine_died");
  s.tell({ kind: "workerDetached", worker: "gpu", session: s.sessionOf("gpu") });
  expect(why("first.00001")).toBe(
    "waiting: 0 of 2 workers can serve the run (gpu: its stream ended; " +
      "cpu: its environment differs from the run's: device: expected cuda, got cpu)",
  );
  s.tell({ kind: "cancel", run: "r" });
  expect(why("first.00001")).toBe("not run: the run is cancelled");
});

test("a status adds up, and fits its message", () => {
  const s = new Scenario();
  s.attach("a");
  s.tell({ kind: "runAdded", run: runOf("r", { first: [4], second: [2, "first"] }) });
  s.now = 500;
  s.complete("a", "first.00000");
  const status = clusterStatus(s.state, new Map([["r", "/out"]]), 1000);
  expect(codecs.clusterStatus.decode(codecs.clusterStatus.encode(status))).toEqual(status);
  expect(status.runs[0]).toMatchObject({ run: "r", folder: "/out", state: "running", seconds: 1 });
  expect(status.runs[0]?.stages[0]).toMatchObject({
    ...{ shards: 4, done: 1, running: 2, waiting: 1, quarantined: 0 },
    ...{ engineSeconds: 1, seconds: 1, units: { rows: 2 }, freshUnits: { rows: 2 } },
    reasons: [{ reason: "waiting for a free worker", shards: 1 }],
  });
  expect(status.runs[0]?.stages[1]?.reasons).toEqual([{ reason: "waiting for first", shards: 2 }]);
  expect(status.workers).toMatchObject([{ worker: "a", state: "attached", leases: 2, completed: 1 }]);
});

test("a long list of quarantined shards is cut in the status", () => {
  const s = new Scenario({ pipelineDepth: 1, budgets: { lost: 0, memory: 0, application: 0 }, cordonAfter: 10_000 });
  s.attach("a");
  s.tell({
    kind: "runAdded",
    run: {
      ...runOf("r", {}),
      stages: [{ id: "first", dependsOn: [], shards: 300, recorded: new RecordedShards(300) }],
    },
  });
  for (let i = 0; i < 299; i++) s.fail("a", shardId("first", i), "application");
  const [run] = clusterStatus(s.state, new Map(), 0).runs;
  expect(run?.quarantined).toHaveLength(200);
  expect(run?.stages[0]?.quarantined).toBe(299);
});

test("a status with many refused workers and one long failure still fits its message", () => {
  const s = new Scenario({ pipelineDepth: 1 });
  s.attach("fit");
  s.tell({ kind: "runAdded", run: runOf("r", { first: [2] }) });
  s.fail("fit", "first.00000", "application", "because ".repeat(12_500));
  s.tell({ kind: "workerDetached", worker: "fit", session: s.sessionOf("fit") });
  const environment = { ...ENVIRONMENT, device: "cuda", code: "another version than the run's, as long as they are" };
  for (let i = 0; i < 30; i++) s.attach(`worker-of-a-long-name-${String(i)}`, { environment });
  const status = codecs.clusterStatus.decode(
    codecs.clusterStatus.encode(clusterStatus(s.state, new Map([["r", "/r"]]), s.now)),
  );
  expect(status.workers.filter(({ state }) => state === "refused")).toHaveLength(30);
  expect(status.runs[0]?.stages[0]?.reasons[0]?.reason).toMatch(/^waiting: 0 of 31 workers can serve the run .*…$/);
});

test("the reasons of a status are in the order of the shards that they are first given for", () => {
  const s = new Scenario({ pipelineDepth: 1, budgets: { lost: 3, memory: 1, application: 0 } });
  for (const worker of ["a", "b", "c", "d"]) s.attach(worker);
  s.tell({ kind: "runAdded", run: runOf("r", { first: [6] }) });
  s.tell({ kind: "drain", now: false });
  s.fail("c", "first.00002", "engine_died");
  s.fail("b", "first.00001", "application");
  s.tell({
    kind: "leaseReleased",
    worker: "a",
    session: s.sessionOf("a"),
    lease: s.leaseOf("a", "first.00000").id,
  });
  const [stage] = must(clusterStatus(s.state, new Map(), 0).runs[0], "run").stages;
  expect(stage?.reasons).toEqual([
    { reason: "waiting: the coordinator is stopping", shards: 3 },
    { reason: "quarantined after 1 failed attempts: application: because (attempt 1, on worker b)", shards: 1 },
    {
      reason: "waiting: the coordinator is stopping; last attempt: engine_died: because (attempt 1, on worker c)",
      shards: 1,
    },
  ]);
});
