/**
 * @file A simulated cluster: the real state machines of coordinator and worker on a virtual clock, with a network that delays, drops,
 * repeats and reorders, and processes that die. Everything follows from the seed.
 */
import { must } from "../../src/base/assert.js";
import { createRng, type Rng } from "../../src/base/rng.js";
import { toEvent, type CoordinatorEffect, type CoordinatorEvent, type RunToAdd } from "../../src/coordinator/events.js";
import { DEFAULT_SETTINGS, initialState, type CoordinatorState } from "../../src/coordinator/state.js";
import { step } from "../../src/coordinator/step.js";
import type { WorkerEnvironment } from "../../src/base/environment.js";
import type { FromCoordinator, FromWorker, Lease, RunState } from "../../src/wire/messages.js";
import { newWorker, type WorkerEffect, type WorkerEvent, type WorkerMachine } from "../../src/worker/worker-state.js";
import { stepWorker } from "../../src/worker/worker-step.js";
import type { Faults } from "./faults.js";
import { checkInvariants } from "./invariants.js";
import { RecordedShards } from "../../src/coordinator/recorded-shards.js";
import { shardId } from "../../src/plan/stage-shards.js";

const ENVIRONMENT: WorkerEnvironment = {
  code: "1",
  backend: "none",
  device: "none",
  threads: 1,
  dtype: "float32",
  node: "20",
  tfjs: "none",
};

interface SimulatedWorker {
  machine: WorkerMachine | null;
  instance: number;
  session: string | null;
  dialledAt: number;
}

interface Timed {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

/** What a simulation leaves behind. */
export interface Outcome {
  readonly states: ReadonlyMap<string, RunState>;
  readonly final: CoordinatorState;
  readonly log: ReadonlyMap<string, string>;
  readonly events: number;
  readonly grants: number;
  readonly warnings: readonly string[];
}

/** One simulated cluster. */
export class World {
  readonly rng: Rng;
  readonly faults: Faults;
  readonly runs: readonly RunToAdd[];
  /** `<run>/<shard>` -> hash of the stored payload. */
  readonly log = new Map<string, string>();
  readonly workers = new Map<string, SimulatedWorker>();
  readonly finished = new Map<string, RunState>();
  readonly warnings: string[] = [];
  private readonly verified = new Set<string>();
  coordinator: CoordinatorState | null = null;
  now = 0;
  private epoch = 0;
  private order = 0;
  private grants = 0;
  private crashesLeft: number;
  private sessions = 0;
  private readonly queue: Timed[] = [];

  constructor(seed: number, runs: readonly RunToAdd[], workers: readonly string[], faults: Faults) {
    this.rng = createRng(seed, "simulation");
    this.faults = faults;
    this.runs = runs;
    this.crashesLeft = faults.coordinatorCrashes;
    this.startCoordinator();
    for (const name of workers) {
      this.workers.set(name, { machine: null, instance: 0, session: null, dialledAt: 0 });
      this.startWorker(name);
    }
  }

  /** Runs until every run has ended. @throws Error when that takes more than `limitMs` of virtual time. */
  finish(limitMs: number): Outcome {
    let events = 0;
    while (this.finished.size < this.runs.length) {
      this.next();
      events++;
      if (this.now > limitMs) throw new Error(`no end after ${String(limitMs)} ms of virtual time`);
    }
    const final = must(this.coordinator, "coordinator");
    return { states: this.finished, final, log: this.log, events, grants: this.grants, warnings: this.warnings };
  }

  /** Goes on for a while after the end. */
  settle(forMs: number): void {
    const end = this.now + forMs;
    while (this.now < end) this.next();
  }

  /** Does something at a given time. */
  at(time: number, run: () => void): void {
    this.schedule(time - this.now, run);
  }

  /** Something happens to the coordinator, if it is alive. */
  tell(event: CoordinatorEvent): void {
    if (this.coordinator === null) return;
    const before = this.coordinator;
    const { state, effects } = step(before, event, this.now);
    this.coordinator = state;
    checkInvariants(before, state, effects);
    for (const effect of effects) this.perform(effect);
  }

  /** Something happens to a worker, if it is alive. */
  tellWorker(name: string, event: WorkerEvent): void {
    const worker = must(this.workers.get(name), name);
    if (worker.machine === null) return;
    const { state, effects } = stepWorker(worker.machine, event, this.now);
    worker.machine = state;
    for (const effect of effects) this.performForWorker(name, worker.instance, effect);
  }

  private next(): void {
    this.queue.sort((a, b) => a.at - b.at || a.order - b.order);
    const item = must(this.queue.shift(), "next happening");
    this.now = Math.max(this.now, item.at);
    item.run();
  }

  private schedule(delay: number, run: () => void): void {
    this.queue.push({ at: this.now + delay, order: this.order++, run });
  }

  private chance(probability: number): boolean {
    return probability > 0 && this.rng.uniform() < probability;
  }

  // --- coordinator

  private startCoordinator(): void {
    this.epoch++;
    this.coordinator = initialState(DEFAULT_SETTINGS, this.epoch, "n");
    for (const run of this.runs) {
      if (!this.finished.has(run.id)) this.tell({ kind: "runAdded", run: this.replayed(run) });
    }
    this.tickCoordinator(this.epoch);
  }

  private replayed(run: RunToAdd): RunToAdd {
    const stages = run.stages.map((stage) => {
      const recorded = new RecordedShards(stage.shards);
      for (let index = 0; index < stage.shards; index++) {
        const key = `${run.id}/${shardId(stage.id, index)}`;
        if (!this.log.has(key)) continue;
        this.verified.add(key);
        recorded.add(index, { seconds: 1, units: { rows: 1 }, reused: false });
      }
      return { ...stage, recorded };
    });
    return { ...run, stages };
  }

  private tickCoordinator(epoch: number): void {
    if (this.epoch !== epoch || this.coordinator === null) return;
    if (this.crashesLeft > 0 && this.chance(0.05)) {
      this.crashesLeft--;
      this.crashCoordinator();
      return;
    }
    this.tell({ kind: "tick" });
    this.schedule(250, () => {
      this.tickCoordinator(epoch);
    });
  }

  private crashCoordinator(): void {
    this.coordinator = null;
    for (const name of this.workers.keys()) this.endSession(name);
    this.schedule(50 + this.rng.int(3000), () => {
      this.startCoordinator();
    });
  }

  private perform(effect: CoordinatorEffect): void {
    switch (effect.kind) {
      case "welcome":
        this.toWorker(effect.session, { kind: "welcome", epoch: this.epoch, heartbeatMs: 1000 });
        return;
      case "grant":
        this.grants++;
        this.toWorker(effect.session, { kind: "grant", lease: effect.lease });
        return;
      case "revoke": {
        const { lease, stop, reason } = effect;
        this.toWorker(effect.session, { kind: "revoke", lease, stop, reason });
        return;
      }
      case "recall":
        this.toWorker(effect.session, { kind: "recall", lease: effect.lease });
        return;
      case "settled":
        this.toWorker(effect.session, { kind: "settled", leases: [effect.lease] });
        return;
      case "leave":
        this.toWorker(effect.session, { kind: "leave", reason: effect.reason });
        return;
      case "close":
        this.closeSession(effect.session);
        return;
      case "verify":
        this.verify(effect);
        return;
      case "reduce":
        this.reduce(effect);
        return;
      case "finished":
        this.finished.set(effect.run, effect.state);
        return;
      case "nondeterminism":
        this.warnings.push(effect.message);
        return;
      case "quarantined":
      case "started":
      case "log":
        return;
    }
  }

  private verify({ run, report }: Extract<CoordinatorEffect, { kind: "verify" }>): void {
    const epoch = this.epoch;
    this.schedule(1 + this.rng.int(20), () => {
      if (this.epoch !== epoch) return;
      const key = `${run}/${report.shard}`;
      const stored = this.log.get(key);
      const fresh = !this.verified.has(key);
      if (stored === undefined || (fresh && this.chance(this.faults.damagedRecord))) {
        this.log.delete(key);
        this.tell({ kind: "recordRejected", run, report, code: "corrupt_record", message: "damaged" });
        return;
      }
      this.verified.add(key);
      const record = { shard: report.shard, sha256: stored, seconds: 1, units: { rows: 1 }, reused: false };
      this.tell({ kind: "recordVerified", run, report, record });
    });
  }

  private reduce({ run, stage, missing }: Extract<CoordinatorEffect, { kind: "reduce" }>): void {
    const epoch = this.epoch;
    const { shards } = must(
      this.runs.find(({ id }) => id === run)?.stages.find(({ id }) => id === stage),
      stage,
    );
    for (let index = 0; index < shards; index++) {
      const shard = shardId(stage, index);
      const expected = !missing.includes(shard);
      if (expected && !this.log.has(`${run}/${shard}`)) throw new Error(`${stage} is reduced without ${shard}`);
    }
    this.schedule(5 + this.rng.int(200), () => {
      if (this.epoch === epoch) this.tell({ kind: "stageReduced", run, stage });
    });
  }

  // --- network

  private toWorker(session: string, message: FromCoordinator): void {
    const entry = [...this.workers].find(([, worker]) => worker.session === session);
    if (entry === undefined) return;
    const [name, worker] = entry;
    this.deliver(() => {
      if (worker.session === session) this.tellWorker(name, { kind: "message", message });
    });
  }

  private toCoordinator(name: string, session: string, message: FromWorker): void {
    const epoch = this.epoch;
    this.deliver(() => {
      if (this.epoch === epoch) this.tell(toEvent(name, session, message));
    });
  }

  private deliver(run: () => void): void {
    if (this.chance(this.faults.drop)) return;
    const copies = this.chance(this.faults.duplicate) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      this.schedule(this.chance(this.faults.longDelay) ? this.rng.int(8000) : 1 + this.rng.int(10), run);
    }
  }

  private closeSession(session: string): void {
    const entry = [...this.workers].find(([, worker]) => worker.session === session);
    if (entry !== undefined) this.endSession(entry[0]);
  }

  private endSession(name: string): void {
    const worker = must(this.workers.get(name), name);
    const { session, instance } = worker;
    if (session === null) return;
    worker.session = null;
    this.tellWorker(name, { kind: "disconnected" });
    this.schedule(this.rng.int(500), () => {
      this.tell({ kind: "workerDetached", worker: name, session });
    });
    this.schedule(100 + this.rng.int(1000), () => {
      this.dial(name, instance);
    });
  }

  private dial(name: string, instance: number): void {
    const worker = must(this.workers.get(name), name);
    if (worker.instance !== instance || worker.machine === null || worker.machine.left || worker.session !== null)
      return;
    if (this.coordinator === null) {
      this.schedule(200 + this.rng.int(500), () => {
        this.dial(name, instance);
      });
      return;
    }
    worker.dialledAt = this.now;
    worker.session = `s${String(++this.sessions)}`;
    this.tellWorker(name, { kind: "connected" });
  }

  // --- workers

  private startWorker(name: string): void {
    const worker = must(this.workers.get(name), name);
    worker.instance++;
    const instance = `${name}#${String(worker.instance)}`;
    worker.machine = newWorker({ worker: name, instance, environment: ENVIRONMENT, memoryMib: 0 });
    this.dial(name, worker.instance);
    this.tickWorker(name, worker.instance);
  }

  private tickWorker(name: string, instance: number): void {
    const worker = must(this.workers.get(name), name);
    if (worker.instance !== instance || worker.machine === null || worker.machine.left) return;
    if (this.chance(this.faults.workerCrash)) {
      this.crashWorker(name);
      return;
    }
    if (this.chance(this.faults.disconnect)) this.endSession(name);
    // A registration or its welcome may have been lost: the real worker gives the stream up after a while.
    if (worker.session !== null && !worker.machine.welcomed && this.now - worker.dialledAt > 5000)
      this.endSession(name);
    this.tellWorker(name, { kind: "tick" });
    this.schedule(250, () => {
      this.tickWorker(name, instance);
    });
  }

  /** Kills a worker's processes; a new one comes after a while. */
  crashWorker(name: string): void {
    const worker = must(this.workers.get(name), name);
    worker.machine = null;
    worker.instance++;
    this.endSession(name);
    this.schedule(50 + this.rng.int(5000), () => {
      this.startWorker(name);
    });
  }

  private performForWorker(name: string, instance: number, effect: WorkerEffect): void {
    const worker = must(this.workers.get(name), name);
    const later = (delay: number, event: () => WorkerEvent): void => {
      this.schedule(delay, () => {
        if (worker.instance === instance) this.tellWorker(name, event());
      });
    };
    switch (effect.kind) {
      case "send":
        if (worker.session !== null) this.toCoordinator(name, worker.session, effect.message);
        return;
      case "run":
        later(10 + this.rng.int(400), this.compute(effect.lease));
        return;
      case "store":
        later(1 + this.rng.int(30), () => this.store(effect.lease));
        return;
      case "stop":
        return;
      case "leave":
        this.endSession(name);
        return;
    }
  }

  private compute(lease: Lease): () => WorkerEvent {
    const failed = (code: "non_finite" | "engine_died" | "out_of_memory") => (): WorkerEvent => ({
      kind: "failed",
      lease: lease.id,
      failure: { code, message: "simulated", file: "", line: 0, field: "" },
    });
    if (this.faults.poisoned.has(lease.shard)) return failed("non_finite");
    if (this.chance(this.faults.engineDeath)) return failed(this.chance(0.2) ? "out_of_memory" : "engine_died");
    return () => ({ kind: "computed", lease: lease.id });
  }

  private store(lease: Lease): WorkerEvent {
    const key = `${lease.run}/${lease.shard}`;
    const sha256 = this.faults.unstableResults ? `${key}@${lease.id}` : key;
    if (!this.log.has(key)) this.log.set(key, sha256);
    return { kind: "stored", lease: lease.id, sha256 };
  }
}
