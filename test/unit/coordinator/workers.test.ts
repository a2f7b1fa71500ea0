import { expect, test } from "vitest";
import { must } from "../../../src/base/assert.js";
import { DEFAULT_SETTINGS } from "../../../src/coordinator/state.js";
import { runOf, Scenario } from "./scenario.js";

const { reattachMs, workerTimeoutMs, leaseMs } = DEFAULT_SETTINGS;

function started(): Scenario {
  const s = new Scenario();
  s.attach("a");
  s.tell({ kind: "runAdded", run: runOf("r", { first: [3] }) });
  return s;
}

function detach(s: Scenario, worker: string): void {
  s.tell({ kind: "workerDetached", worker, session: s.sessionOf(worker) });
}

test("a worker that comes back in time keeps its leases", () => {
  const s = started();
  const holding = s.grants.map(({ lease }) => lease);
  detach(s, "a");
  s.wait(reattachMs - 1);
  s.attach("a", { holding });
  expect(s.held("a")).toEqual(["first.00000", "first.00001"]);
  s.wait(reattachMs);
  expect(s.grants).toHaveLength(2);
});

test("a worker that stays away loses its leases, which costs each shard one", () => {
  const s = started();
  detach(s, "a");
  s.wait(reattachMs);
  expect(s.phases(0)).toEqual(["pending", "pending", "pending"]);
  expect(s.shards(0).map(({ spent }) => spent.lost)).toEqual([1, 1, 0]);
});

test("a grant that never arrived goes back without cost", () => {
  const s = started();
  const [first] = s.grants;
  detach(s, "a");
  s.attach("a", { holding: [must(first, "grant").lease] });
  expect(s.held("a")).toEqual(["first.00000", "first.00001"]);
  expect(s.shards(0).map(({ spent }) => spent.lost)).toEqual([0, 0, 0]);
  expect(s.grants).toHaveLength(3);
  expect(s.leaseOf("a", "first.00001").attempt).toBe(1);
});

test("a new process under the old name has lost what the old one held", () => {
  const s = started();
  detach(s, "a");
  s.attach("a", { instance: "another" });
  expect(s.shards(0).map(({ spent }) => spent.lost)).toEqual([1, 1, 0]);
  expect(s.held("a")).toEqual(["first.00000", "first.00001"]);
});

test("a second process under a name that is attached is turned away", () => {
  const s = started();
  const session = s.attach("a", { instance: "another" });
  expect(s.effects.at(-1)).toMatchObject({ kind: "close", session });
  expect(s.sessionOf("a")).not.toBe(session);
});

test("a silent worker is lost, and its stream is closed", () => {
  const s = started();
  const session = s.sessionOf("a");
  expect(s.wait(workerTimeoutMs)).toContainEqual(expect.objectContaining({ kind: "close", session }));
  expect(s.state.workers.size).toBe(0);
});

test("a lease that heartbeats do not name runs out; one that they name does not", () => {
  const s = started();
  const [first, second] = s.grants.map(({ lease }) => lease.id);
  for (let passed = 0; passed < leaseMs; passed += 1000) {
    s.wait(1000);
    s.tell({ kind: "heartbeat", worker: "a", session: s.sessionOf("a"), leases: [must(first, "lease")], engine: null });
  }
  const effects = s.wait(1);
  expect(s.shards(0).map(({ spent }) => spent.lost)).toEqual([0, 1, 0]);
  expect([...s.effects, ...effects]).toContainEqual(
    expect.objectContaining({ kind: "revoke", lease: second, stop: false }),
  );
});

test("a new coordinator adopts the leases workers bring along, and revokes those whose shards are taken", () => {
  const old = started();
  const holding = old.grants.map(({ lease }) => lease);
  const s = new Scenario({}, 2);
  const first = { 0: { seconds: 1, units: {}, reused: false } };
  s.tell({ kind: "runAdded", run: runOf("r", { first: [3] }, { recorded: { first } }) });
  const session = s.attach("a", { holding });
  expect(s.held("a")).toEqual(["first.00001", "first.00002"]);
  expect(s.grants.map(({ lease }) => lease.shard)).toEqual(["first.00002"]);
  expect(s.effects).toContainEqual(
    expect.objectContaining({ kind: "revoke", session, lease: holding[0]?.id, stop: false }),
  );
});

test("a lease of a run that is not on is stopped", () => {
  const old = started();
  const s = new Scenario({}, 2);
  const session = s.attach("a", { holding: [must(old.grants[0], "grant").lease] });
  expect(s.effects).toContainEqual(expect.objectContaining({ kind: "revoke", session, stop: true }));
});

test("a leaving worker is let go when it holds nothing, and gets nothing new", () => {
  const s = started();
  const session = s.sessionOf("a");
  s.tell({ kind: "workerDraining", worker: "a", session });
  s.tell({ kind: "leaseReleased", worker: "a", session, lease: s.leaseOf("a", "first.00001").id });
  expect(s.held("a")).toEqual(["first.00000"]);
  s.complete("a", "first.00000");
  expect(s.effects).toContainEqual({ kind: "leave", session, reason: "drained" });
  detach(s, "a");
  expect(s.shards(0).map(({ spent }) => spent.lost)).toEqual([0, 0, 0]);
});

test("words from a stream that was given up are answered by closing it", () => {
  const s = started();
  s.wait(workerTimeoutMs);
  const effects = s.tell({ kind: "heartbeat", worker: "a", session: "s1", leases: [], engine: null });
  expect(effects).toMatchObject([{ kind: "close", session: "s1" }]);
});

test("nobody is lost for the coordinator's own silence, and everybody is held to account for the time after it", () => {
  const s = started();
  s.wait(200);
  s.pause(10 * workerTimeoutMs);
  expect(s.held("a")).toHaveLength(2);
  detach(s, "a");
  s.wait(reattachMs - 200);
  s.pause(10 * reattachMs);
  s.wait(200);
  expect(s.state.workers.size).toBe(0);
  expect(s.shards(0).map(({ spent }) => spent.lost)).toEqual([1, 1, 0]);
});
