import { expect, test } from "vitest";
import { must } from "../../../src/base/assert.js";
import { ENVIRONMENT, runOf, Scenario } from "./scenario.js";

test("shards are leased in stage order, then shard order, two to a worker, nobody's second before everybody's first", () => {
  const s = new Scenario();
  s.attach("a");
  s.attach("b");
  s.tell({ kind: "runAdded", run: runOf("r", { first: [3], second: [2] }) });
  expect(s.grants.map(({ lease }) => lease.shard)).toEqual([
    "first.00000",
    "first.00001",
    "first.00002",
    "second.00000",
  ]);
  expect(s.held("a")).toEqual(["first.00000", "first.00002"]);
  expect(s.held("b")).toEqual(["first.00001", "second.00000"]);
});

test("a stage is leased only when all it depends on is reduced", () => {
  const s = new Scenario();
  s.attach("a");
  s.tell({ kind: "runAdded", run: runOf("r", { first: [1], second: [1, "first"] }) });
  const effects = s.complete("a", "first.00000");
  expect(effects).toContainEqual({ kind: "reduce", run: "r", stage: "first", missing: [] });
  expect(s.held("a")).toEqual([]);
  s.tell({ kind: "stageReduced", run: "r", stage: "first" });
  expect(s.held("a")).toEqual(["second.00000"]);
});

test("a stage without shards is reduced when its turn comes", () => {
  const s = new Scenario();
  const effects = s.tell({ kind: "runAdded", run: runOf("r", { nodes: [0] }) });
  expect(effects.map(({ kind }) => kind)).toContain("reduce");
  s.tell({ kind: "stageReduced", run: "r", stage: "nodes" });
  expect(s.run().state).toBe("complete");
});

test("runs are served one after the other", () => {
  const s = new Scenario();
  s.attach("a");
  s.tell({ kind: "runAdded", run: runOf("r", { first: [1] }) });
  s.tell({ kind: "runAdded", run: runOf("q", { first: [1] }) });
  expect(s.grants.map(({ lease }) => lease.run)).toEqual(["r"]);
  s.complete("a", "first.00000");
  s.tell({ kind: "stageReduced", run: "r", stage: "first" });
  expect(s.grants.map(({ lease }) => lease.run)).toEqual(["r", "q"]);
});

test("what the log holds already is not leased again", () => {
  const s = new Scenario();
  s.attach("a");
  const first = {
    1: { seconds: 2, units: { rows: 3 }, reused: false },
    2: { seconds: 4, units: { rows: 5 }, reused: true },
  };
  s.tell({ kind: "runAdded", run: runOf("r", { first: [4] }, { recorded: { first } }) });
  expect(s.held("a")).toEqual(["first.00000", "first.00003"]);
  const [stage] = s.run().stages;
  expect(stage).toMatchObject({ engineSeconds: 6, units: { rows: 8 }, freshUnits: {} });
  expect(stage?.reused).toEqual({ engineSeconds: 4, units: { rows: 5 } });
});

test("an idle worker gets the lease that waits in front of a busy engine", () => {
  const s = new Scenario();
  s.attach("a");
  s.tell({ kind: "runAdded", run: runOf("r", { first: [2] }) });
  const waiting = s.leaseOf("a", "first.00001").id;
  const session = s.attach("b");
  expect(s.effects).toContainEqual({ kind: "recall", session: s.sessionOf("a"), lease: waiting });
  s.wait(1);
  expect(s.effects.filter(({ kind }) => kind === "recall")).toHaveLength(1);
  const effects = s.tell({ kind: "leaseReleased", worker: "a", session: s.sessionOf("a"), lease: waiting });
  expect(effects).toMatchObject([{ kind: "grant", session, lease: { shard: "first.00001", attempt: 1 } }]);
});

test("a waiting lease is not asked back for a worker that must not have it", () => {
  const s = new Scenario();
  s.attach("a");
  s.attach("b");
  s.tell({ kind: "runAdded", run: runOf("r", { first: [3] }) });
  s.fail("b", "first.00001", "non_finite");
  expect(s.held("a")).toEqual(["first.00000", "first.00002"]);
  s.complete("a", "first.00000");
  expect(s.held("a")).toEqual(["first.00002", "first.00001"]);
  expect(s.held("b")).toEqual([]);
  expect(s.effects.filter(({ kind }) => kind === "recall")).toHaveLength(1);
});

test("the first worker decides a run's environment, and others of another kind are left out", () => {
  const s = new Scenario();
  s.tell({ kind: "runAdded", run: runOf("r", { first: [4] }, { environment: { backend: "wasm" } }) });
  s.attach("torch", { environment: { ...ENVIRONMENT, backend: "torch" } });
  expect(s.held("torch")).toEqual([]);
  s.attach("cpu");
  s.attach("cuda", { environment: { ...ENVIRONMENT, device: "cuda" } });
  const { node: _recordedOnly, ...environment } = ENVIRONMENT;
  expect(s.run().environment).toEqual(environment);
  expect(s.held("cpu")).toHaveLength(2);
  expect(s.held("cuda")).toEqual([]);
});

test("lease ids of two coordinators never meet", () => {
  const ids = [1, 2].map((epoch) => {
    const s = new Scenario({}, epoch);
    s.attach("a");
    s.tell({ kind: "runAdded", run: runOf("r", { first: [1] }) });
    return must(s.grants[0], "grant").lease;
  });
  expect(ids[0]?.id).not.toBe(ids[1]?.id);
  expect(ids.map(({ epoch }) => epoch)).toEqual([1, 2]);
});
