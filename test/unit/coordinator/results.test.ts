import { expect, test } from "vitest";
import { must } from "../../../src/base/assert.js";
import { runOf, Scenario } from "./scenario.js";

function started(workers = ["a", "b"]): Scenario {
  const s = new Scenario({ pipelineDepth: 1 });
  for (const worker of workers) s.attach(worker);
  s.tell({ kind: "runAdded", run: runOf("r", { first: [3] }) });
  return s;
}

test("a reported shard is done only when its record is verified", () => {
  const s = started(["a"]);
  const lease = s.leaseOf("a", "first.00000");
  const effects = s.tell({ kind: "shardCompleted", worker: "a", session: "s1", lease, sha256: "x" });
  expect(s.phases(0)[0]).toBe("reported");
  expect(effects[0]).toEqual({
    kind: "verify",
    run: "r",
    report: { worker: "a", lease: lease.id, shard: "first.00000", sha256: "x" },
  });
  s.complete("a", "first.00000");
  expect(s.phases(0)[0]).toBe("done");
});

test("a late equal result is fine, a different one is reported and changes nothing", () => {
  const s = started();
  s.complete("a", "first.00000", "x");
  s.complete("b", "first.00000", "x", "x");
  expect(s.run().warnings).toEqual([]);
  const effects = s.complete("b", "first.00000", "other", "x");
  expect(effects.map(({ kind }) => kind)).toContain("nondeterminism");
  expect(s.run().warnings).toHaveLength(1);
  expect(s.shards(0)[0]).toMatchObject({ phase: "done", attempts: 1 });
});

test("a result whose shard went to another worker meanwhile counts, and the other is told", () => {
  const s = started();
  const lease = s.leaseOf("a", "first.00000");
  s.tell({ kind: "workerDetached", worker: "a", session: s.sessionOf("a") });
  s.wait(10_000);
  s.complete("b", "first.00001");
  expect(s.held("b")).toEqual(["first.00000"]);
  const taken = s.leaseOf("b", "first.00000").id;
  s.attach("a", { holding: [lease] });
  const effects = s.tell({ kind: "shardCompleted", worker: "a", session: s.sessionOf("a"), lease, sha256: "x" });
  expect(effects).toContainEqual(expect.objectContaining({ kind: "revoke", lease: taken, stop: false }));
  expect(s.phases(0)[0]).toBe("reported");
});

test("a record that is missing or damaged makes its shard run again", () => {
  const s = started();
  const lease = s.leaseOf("a", "first.00000");
  s.tell({ kind: "shardCompleted", worker: "a", session: s.sessionOf("a"), lease, sha256: "x" });
  const report = { worker: "a", lease: lease.id, shard: "first.00000", sha256: "x" };
  s.tell({ kind: "recordRejected", run: "r", report, code: "corrupt_record", message: "flipped bit" });
  expect(s.shards(0)[0]).toMatchObject({ phase: "pending", spent: { application: 1 } });
});

test("every outcome is settled, also of runs that are gone", () => {
  const s = started(["a"]);
  const lease = { ...s.leaseOf("a", "first.00000"), run: "gone" };
  const effects = s.tell({ kind: "shardCompleted", worker: "a", session: "s1", lease, sha256: "x" });
  expect(effects).toContainEqual({ kind: "settled", session: "s1", lease: lease.id });
});

test("a quarantined shard whose result comes after all is taken", () => {
  const s = started(["a"]);
  const lease = s.leaseOf("a", "first.00000");
  for (let i = 0; i < 2; i++) s.fail("a", "first.00000", "application");
  expect(s.phases(0)[0]).toBe("quarantined");
  s.tell({ kind: "shardCompleted", worker: "a", session: "s1", lease, sha256: "x" });
  s.complete("a", "first.00000", "x");
  expect(s.phases(0)[0]).toBe("done");
});

test("a run ends partial with quarantined shards, failed when nothing was done or a reduction failed, complete otherwise", () => {
  const outcome = (quarantine: number, reduceFails: boolean): string => {
    const s = started(["a"]);
    for (let i = 0; i < 3; i++) {
      const shard = must(s.held("a")[0], "shard");
      if (i >= quarantine) s.complete("a", shard);
      else for (let attempt = 0; attempt < 2; attempt++) s.fail("a", shard, "application");
    }
    if (reduceFails)
      s.tell({ kind: "reduceFailed", run: "r", stage: "first", code: "application", message: "disk full" });
    else s.tell({ kind: "stageReduced", run: "r", stage: "first" });
    return s.run().state;
  };
  expect([outcome(0, false), outcome(1, false), outcome(3, false), outcome(0, true)]).toEqual([
    "complete",
    "partial",
    "failed",
    "failed",
  ]);
});

test("what a reduction warns of stands in the run's status, once", () => {
  const s = started(["a"]);
  for (let i = 0; i < 3; i++) s.complete("a", must(s.held("a")[0], "shard"));
  const reduced = { kind: "stageReduced", run: "r", stage: "first", warnings: ["b is undefined"] } as const;
  s.tell(reduced);
  s.tell(reduced);
  expect(s.run()).toMatchObject({ state: "complete", warnings: ["b is undefined"] });
});

test("a cancelled run revokes its leases and stops the work", () => {
  const s = started(["a"]);
  const effects = s.tell({ kind: "cancel", run: "r" });
  expect(effects).toContainEqual(
    expect.objectContaining({ kind: "revoke", stop: true, reason: "the run is cancelled" }),
  );
  expect(effects).toContainEqual({ kind: "finished", run: "r", state: "cancelled" });
});

test("a run that ended without being complete can be added again", () => {
  const s = started(["a"]);
  s.tell({ kind: "cancel", run: "r" });
  s.tell({ kind: "runAdded", run: runOf("r", { first: [3] }) });
  expect(s.run().state).toBe("running");
  expect(s.held("a")).toEqual(["first.00000"]);
});

test("only so many ended runs are remembered", () => {
  const s = new Scenario();
  for (let i = 0; i < 150; i++) {
    s.tell({ kind: "runAdded", run: runOf(`r${String(i)}`, { first: [1] }) });
    s.tell({ kind: "cancel", run: `r${String(i)}` });
  }
  expect(s.state.runs.size).toBe(101);
  expect(s.state.runs.has("r149")).toBe(true);
});

test("draining at once interrupts, draining softly waits for what is in flight", () => {
  const soft = started(["a"]);
  soft.tell({ kind: "drain", now: false });
  expect(soft.run().state).toBe("running");
  soft.complete("a", "first.00000");
  expect(soft.run().state).toBe("interrupted");
  expect(soft.grants).toHaveLength(1);
  const hard = started(["a"]);
  hard.tell({ kind: "drain", now: true });
  expect(hard.run().state).toBe("interrupted");
});
