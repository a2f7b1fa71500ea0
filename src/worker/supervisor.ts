/**
 * @file A worker's supervisor: carries out what the worker's state machine wants. Nothing here blocks; tensor work is the engine's.
 *
 * While the coordinator is away the engine goes on, results are stored, and reports wait for the next stream.
 */
import { randomUUID } from "node:crypto";
import { performance } from "node:perf_hooks";
import { must } from "../base/assert.js";
import { PatchbayError, toPatchbayError } from "../base/errors.js";
import { memoryMib as machineMemoryMib } from "../base/memory.js";
import { whenAborted } from "../base/when-aborted.js";
import { findShard } from "../plan/plan.js";
import { isDamage } from "../run/known-file.js";
import { connectCluster, type AttachStream, type ClusterClient } from "../wire/cluster-client.js";
import { toFailure } from "../wire/failure.js";
import type { FromCoordinator, Lease, RunOpened } from "../wire/messages.js";
import { ArtifactCache } from "./artifact-cache.js";
import { EngineHost } from "./engine-host.js";
import type { EngineResult } from "../engine/engine-messages.js";
import { openRun, type LocalChoices, type OpenRun } from "./open-run.js";
import { patiently } from "./patiently.js";
import { appendResult } from "./store-result.js";
import { newWorker, type WorkerEffect, type WorkerEvent, type WorkerMachine } from "./worker-state.js";
import { stepWorker } from "./worker-step.js";

const TICK_MS = 200;
const WELCOME_WITHIN_MS = 10_000;
const REDIAL_MS = 100;
const MAX_REDIAL_MS = 2000;
/** People hear of the third failure in a row: a coordinator that has just ended is about to end its workers. */
const SAID_DIAL = 3;
const DEFAULT_STALL_MS = 120_000;

/** What a worker needs. */
export interface WorkerOptions extends Partial<Omit<LocalChoices, "environment">>, Pick<LocalChoices, "environment"> {
  /** `host:port` of the coordinator. */
  readonly coordinator: string;
  /** Unique among the coordinator's workers. */
  readonly name: string;
  /** Memory the engine may use; the machine's by default. */
  readonly memoryMib?: number;
  /** An engine that makes no progress for this long is killed. */
  readonly engineStallMs?: number;
  /** How long the run log may be away when a run is opened, before the shard that waits for it fails; a minute by default. */
  readonly natsPatienceMs?: number;
  /** Leave soon: finish the current shard, give the other leases back. */
  readonly drain?: AbortSignal;
  /** Leave now. */
  readonly stop?: AbortSignal;
  /** Takes a line for people. */
  readonly say?: (text: string) => void;
}

/** Why a worker ended. `refused`: the coordinator will not have it. */
export interface WorkerEnd {
  readonly refused: boolean;
  readonly reason: string;
}

/** Runs a worker until it is told to leave, by the coordinator or by a signal. */
export async function runWorker(options: WorkerOptions): Promise<WorkerEnd> {
  const supervisor = new Supervisor(options);
  whenAborted(options.drain, () => {
    supervisor.dispatch({ kind: "drain" });
  });
  whenAborted(options.stop, () => {
    supervisor.leave({ refused: false, reason: "stopped" });
  });
  try {
    return await supervisor.ended;
  } finally {
    await supervisor.close();
  }
}

class Supervisor {
  readonly ended: Promise<WorkerEnd>;
  leave: (end: WorkerEnd) => void = () => undefined;
  readonly #options: WorkerOptions;
  readonly #client: ClusterClient;
  readonly #cache: ArtifactCache;
  readonly #host: EngineHost;
  readonly #timer: NodeJS.Timeout;
  readonly #runs = new Map<string, { opened: RunOpened; run: Promise<OpenRun> | null }>();
  readonly #results = new Map<string, EngineResult>();
  readonly #queue: WorkerEvent[] = [];
  readonly #over = new AbortController();
  #machine: WorkerMachine;
  #busy = false;
  #link: AttachStream | null = null;
  #dials = 0;
  #redial: NodeJS.Timeout | null = null;
  readonly #removeCache = (): void => {
    this.#cache.remove();
  };

  constructor(options: WorkerOptions) {
    const { name, environment, coordinator, engineStallMs, memoryMib = machineMemoryMib() } = options;
    this.#options = options;
    this.#machine = newWorker({ worker: name, instance: randomUUID(), environment, memoryMib });
    this.#client = connectCluster(coordinator);
    this.#cache = new ArtifactCache((run, file) => this.#client.fetchArtifact(run, file));
    process.once("exit", this.#removeCache);
    this.#host = new EngineHost({
      stallMs: engineStallMs ?? DEFAULT_STALL_MS,
      memoryMib,
      onProgress: (engine) => {
        this.dispatch({ kind: "engine", engine });
      },
    });
    this.ended = new Promise((resolve) => {
      this.leave = resolve;
    });
    this.#timer = setInterval(() => {
      this.dispatch({ kind: "tick" });
    }, TICK_MS);
    this.#dial();
  }

  /** Something has happened. */
  dispatch(event: WorkerEvent): void {
    this.#queue.push(event);
    if (this.#busy) return;
    this.#busy = true;
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      const { state, effects } = stepWorker(this.#machine, next, performance.now());
      this.#machine = state;
      for (const effect of effects) this.#perform(effect);
    }
    this.#busy = false;
  }

  /** Ends everything that the worker owns. */
  async close(): Promise<void> {
    this.#over.abort();
    clearInterval(this.#timer);
    if (this.#redial !== null) clearTimeout(this.#redial);
    await this.#host.kill(new PatchbayError("cancelled", "the worker leaves"));
    this.#link?.close();
    this.#client.close();
    for (const { run } of this.#runs.values()) await run?.then(({ log }) => log.close()).catch(() => undefined);
    process.off("exit", this.#removeCache);
    this.#removeCache();
  }

  #perform(effect: WorkerEffect): void {
    switch (effect.kind) {
      case "send":
        this.#link?.send(effect.message);
        return;
      case "run":
        void this.#compute(effect.lease);
        return;
      case "store":
        void this.#store(effect.lease);
        return;
      case "stop":
        this.#say(`${effect.lease.shard} is stopped: ${effect.reason}`);
        void this.#host.kill(new PatchbayError("cancelled", effect.reason));
        return;
      case "leave":
        this.leave({ refused: false, reason: effect.reason });
        return;
    }
  }

  #dial(): void {
    this.#redial = null;
    this.#link = this.#client.attach({
      onMessage: (message) => {
        this.#hear(message);
      },
      onEnd: (error) => {
        this.#hangUp(error);
      },
    });
    const link = this.#link;
    const timer = setTimeout(() => {
      if (!this.#machine.welcomed && this.#link === link) link.close();
    }, WELCOME_WITHIN_MS);
    timer.unref();
    this.dispatch({ kind: "connected" });
  }

  #hear(message: FromCoordinator): void {
    if (message.kind === "welcome") this.#dials = 0;
    if (message.kind === "runOpened") this.#noteRun(message);
    this.dispatch({ kind: "message", message });
  }

  #hangUp(error: PatchbayError): void {
    const refused = error.code === "bad_message" && !this.#machine.welcomed;
    this.#link = null;
    this.dispatch({ kind: "disconnected" });
    if (refused) this.leave({ refused, reason: error.message });
    if (this.#over.signal.aborted || this.#machine.left) return;
    if (++this.#dials === SAID_DIAL)
      this.#say(`no stream to ${this.#options.coordinator} (${error.message}); dialling again`);
    const delay = Math.min(MAX_REDIAL_MS, REDIAL_MS * 2 ** Math.min(this.#dials, 10));
    this.#redial = setTimeout(
      () => {
        this.#dial();
      },
      delay * (0.5 + Math.random() / 2),
    );
  }

  /** Loads a run's inputs as soon as the coordinator mentions it. */
  #noteRun(opened: RunOpened): void {
    if (this.#runs.get(opened.run)?.opened.planHash === opened.planHash) return;
    this.#closeOtherRuns(opened.run);
    this.#runs.set(opened.run, { opened, run: null });
    this.#open(opened.run).then(
      (run) => {
        this.#host.prepare(run);
      },
      () => undefined, // The first shard reports it.
    );
  }

  /** A run is over when another one begins; what is still being stored keeps its log. */
  #closeOtherRuns(current: string): void {
    const inUse = new Set([current, ...this.#machine.held.map(({ lease }) => lease.run)]);
    for (const [id, { run }] of this.#runs) {
      if (inUse.has(id)) continue;
      this.#runs.delete(id);
      this.#cache.forget(id);
      void run?.then(({ log }) => log.close()).catch(() => undefined);
    }
  }

  #open(id: string): Promise<OpenRun> {
    const entry = must(this.#runs.get(id), `run ${id}`);
    const attempt = () => openRun(entry.opened, this.#cache, this.#choices());
    entry.run ??= patiently(attempt, this.#over.signal, this.#options.natsPatienceMs).catch((thrown: unknown) => {
      entry.run = null; // The next shard tries again.
      throw thrown;
    });
    return entry.run;
  }

  #choices(): LocalChoices {
    const { environment, model, saes, log } = this.#options;
    const screen = {
      write: (text: string) => {
        this.#say(text.trimEnd());
      },
    };
    return { environment, model: model ?? null, saes: saes ?? null, log: log ?? null, screen };
  }

  async #compute(lease: Lease): Promise<void> {
    try {
      this.#results.set(lease.id, await this.#resultOf(lease));
      this.dispatch({ kind: "computed", lease: lease.id });
    } catch (thrown) {
      this.#fail(lease, thrown);
    }
  }

  /** A local copy that the engine finds damaged is fetched again, and the shard computed once more: the shard pays nothing for it. */
  async #resultOf(lease: Lease): Promise<EngineResult> {
    const run = await this.#open(lease.run);
    const artifacts: Record<string, string> = {};
    for (const name of must(findShard(run.plan, lease.shard), `shard ${lease.shard}`).stage.reads) {
      artifacts[name] = await patiently(() => this.#cache.file(lease.run, name), this.#over.signal);
    }
    try {
      return await this.#host.compute(run, lease, artifacts);
    } catch (thrown) {
      if (!isDamage(thrown)) throw thrown;
      this.#say(thrown.message);
      await patiently(() => this.#cache.mend(lease.run), this.#over.signal);
      return this.#host.compute(run, lease, artifacts);
    }
  }

  async #store(lease: Lease): Promise<void> {
    const result = must(this.#results.get(lease.id), `result of ${lease.id}`);
    try {
      const run = await this.#open(lease.run);
      await appendResult(run, lease, this.#options.name, result);
      this.dispatch({ kind: "stored", lease: lease.id, sha256: result.sha256 });
    } catch (thrown) {
      this.#fail(lease, thrown);
    } finally {
      this.#results.delete(lease.id);
    }
  }

  #fail(lease: Lease, thrown: unknown): void {
    if (this.#over.signal.aborted) return;
    const { code, message } = toPatchbayError(thrown);
    this.#say(`${lease.shard} failed: ${code}: ${message}`);
    this.dispatch({ kind: "failed", lease: lease.id, failure: toFailure(thrown) });
  }

  #say(text: string): void {
    this.#options.say?.(text);
  }
}
