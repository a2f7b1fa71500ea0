import { expect, test } from "vitest";
import type { FromCoordinator, Lease } from "../../../src/wire/messages.js";
import {
  newWorker,
  REPEAT_MS,
  type WorkerEffect,
  type WorkerEvent,
  type WorkerMachine,
} from "../../../src/worker/worker-state.js";
import { stepWorker } from "../../../src/worker/worker-step.js";

const environment = {
  code: "1",
  backend: "wasm",
  device: "cpu",
  threads: 0,
  dtype: "",
  node: "20",
  tfjs: "core 4.22.0",
};

function lease(id: string): Lease {
  return { run: "r", shard: `first.0000${id}`, attempt: 1, id, epoch: 1, durationMs: 1000 };
}

/** A worker's state machine with a clock that only the test moves. */
class Scenario {
  state: WorkerMachine = newWorker({ worker: "w", instance: "i", environment, memoryMib: 0 });
  now = 0;

  tell(event: WorkerEvent): readonly WorkerEffect[] {
    const { state, effects } = stepWorker(this.state, event, this.now);
    this.state = state;
    return effects;
  }

  hear(message: FromCoordinator): readonly WorkerEffect[] {
    return this.tell({ kind: "message", message });
  }

  welcome(): readonly WorkerEffect[] {
    this.tell({ kind: "connected" });
    return this.hear({ kind: "welcome", epoch: 1, heartbeatMs: 1000 });
  }

  grant(...ids: string[]): readonly WorkerEffect[] {
    return ids.flatMap((id) => this.hear({ kind: "grant", lease: lease(id) }));
  }

  held(): string[] {
    return this.state.held.map(({ lease: { id }, phase }) => `${id} ${phase.kind}`);
  }
}

/** A scenario with two leases, the first running. */
function working(): Scenario {
  const s = new Scenario();
  s.welcome();
  s.grant("1", "2");
  return s;
}

const kinds = (effects: readonly WorkerEffect[]): string[] =>
  effects.map((effect) => (effect.kind === "send" ? effect.message.kind : effect.kind));

test("the engine gets one lease at a time, the next as soon as it is free, while the last result is stored", () => {
  const s = new Scenario();
  s.welcome();
  expect(s.grant("1", "2")).toEqual([{ kind: "run", lease: lease("1") }]);
  expect(s.tell({ kind: "computed", lease: "1" })).toEqual([
    { kind: "store", lease: lease("1") },
    { kind: "run", lease: lease("2") },
  ]);
  const effects = s.tell({ kind: "stored", lease: "1", sha256: "x" });
  expect(effects).toEqual([{ kind: "send", message: { kind: "completed", lease: lease("1"), sha256: "x" } }]);
  expect(s.held()).toEqual(["1 reported", "2 running"]);
  s.hear({ kind: "settled", leases: ["1"] });
  expect(s.held()).toEqual(["2 running"]);
});

test("a grant that comes twice is taken once", () => {
  const s = working();
  expect(s.grant("1")).toEqual([]);
  expect(s.held()).toEqual(["1 running", "2 queued"]);
});

test("heartbeats name the leases in hand, not the reported ones", () => {
  const s = working();
  s.tell({ kind: "computed", lease: "1" });
  s.tell({ kind: "stored", lease: "1", sha256: "x" });
  s.now = 1000;
  const engine = { phase: "running", shard: "first.00002", done: 1, total: 2, loadSeconds: 0 } as const;
  expect(s.tell({ kind: "engine", engine })).toEqual([
    { kind: "send", message: { kind: "heartbeat", leases: ["2"], engine } },
  ]);
  expect(s.tell({ kind: "tick" })).toEqual([]);
});

test("without a stream the work goes on, and is reported on the next one", () => {
  const s = working();
  s.tell({ kind: "disconnected" });
  expect(kinds(s.tell({ kind: "computed", lease: "1" }))).toEqual(["store", "run"]);
  expect(s.tell({ kind: "stored", lease: "1", sha256: "x" })).toEqual([]);
  const registration = s.tell({ kind: "connected" });
  expect(registration).toMatchObject([{ message: { kind: "register", holding: [lease("1"), lease("2")] } }]);
  expect(kinds(s.hear({ kind: "welcome", epoch: 2, heartbeatMs: 1000 }))).toEqual(["completed", "heartbeat"]);
});

test("a report is repeated until it is settled", () => {
  const s = working();
  s.tell({ kind: "failed", lease: "1", failure: { code: "non_finite", message: "", file: "", line: 0, field: "" } });
  s.now = REPEAT_MS - 1;
  expect(kinds(s.tell({ kind: "tick" }))).not.toContain("failed");
  s.now = REPEAT_MS;
  expect(kinds(s.tell({ kind: "tick" }))).toContain("failed");
  s.hear({ kind: "settled", leases: ["1"] });
  s.now = 2 * REPEAT_MS;
  expect(kinds(s.tell({ kind: "tick" }))).not.toContain("failed");
});

test("a lease is given back only while it waits", () => {
  const s = working();
  expect(s.hear({ kind: "recall", lease: "1" })).toEqual([]);
  expect(s.hear({ kind: "recall", lease: "2" })).toEqual([{ kind: "send", message: { kind: "released", lease: "2" } }]);
  expect(s.held()).toEqual(["1 running"]);
});

test("a revoked lease is dropped where it waits, and stopped only on request", () => {
  const s = working();
  expect(s.hear({ kind: "revoke", lease: "1", stop: false, reason: "taken" })).toEqual([]);
  s.hear({ kind: "revoke", lease: "2", stop: false, reason: "taken" });
  expect(s.held()).toEqual(["1 running"]);
  const effects = s.hear({ kind: "revoke", lease: "1", stop: true, reason: "cancelled" });
  expect(effects).toEqual([{ kind: "stop", lease: lease("1"), reason: "cancelled" }]);
  expect(
    s.tell({ kind: "failed", lease: "1", failure: { code: "cancelled", message: "", file: "", line: 0, field: "" } }),
  ).toEqual([]);
});

test("a result that is being stored is reported even if its lease is stopped", () => {
  const s = working();
  s.tell({ kind: "computed", lease: "1" });
  s.hear({ kind: "revoke", lease: "1", stop: true, reason: "cancelled" });
  expect(kinds(s.tell({ kind: "stored", lease: "1", sha256: "x" }))).toEqual(["completed"]);
});

test("a leaving worker finishes its shard, gives back the rest and what still arrives, and goes when it is let go", () => {
  const s = working();
  expect(kinds(s.tell({ kind: "drain" }))).toEqual(["draining", "released"]);
  expect(kinds(s.grant("3"))).toEqual(["released"]);
  s.tell({ kind: "computed", lease: "1" });
  s.tell({ kind: "stored", lease: "1", sha256: "x" });
  expect(s.state.left).toBe(false);
  expect(s.hear({ kind: "leave", reason: "drained" })).toEqual([{ kind: "leave", reason: "drained" }]);
  expect(s.grant("4")).toEqual([]);
});

test("without a coordinator a leaving worker goes as soon as its work is stored", () => {
  const s = working();
  s.tell({ kind: "disconnected" });
  expect(s.tell({ kind: "drain" })).toEqual([]);
  s.tell({ kind: "computed", lease: "1" });
  expect(kinds(s.tell({ kind: "stored", lease: "1", sha256: "x" }))).toEqual(["leave"]);
});
