/** @file Keeps one engine process ready for the run that is on: starts it, starts it again when it died, tells how it is doing. */
import { setTimeout as wait } from "node:timers/promises";
import { PatchbayError, toPatchbayError } from "../base/errors.js";
import type { EngineProgress, Lease } from "../wire/messages.js";
import { tellParent } from "../wire/parent-process.js";
import type { EngineResult, ToEngine } from "../engine/engine-messages.js";
import { EngineProcess } from "./engine-process.js";
import type { OpenRun } from "./open-run.js";

const BACKOFF_MS = 200;
const MAX_BACKOFF_MS = 10_000;

/** What an engine host needs. */
export interface EngineHostOptions {
  readonly stallMs: number;
  /** Memory for the engine. */
  readonly memoryMib: number;
  readonly onProgress: (progress: EngineProgress) => void;
}

interface Slot {
  readonly run: string;
  /** Null until it is started. */
  process: EngineProcess | null;
  /** The process, once it has loaded the run's inputs. */
  loaded: Promise<EngineProcess>;
}

const NOT_STARTED = new PatchbayError("cancelled", "the engine was not started");

/** The engine of a worker. */
export class EngineHost {
  readonly #options: EngineHostOptions;
  #slot: Slot | null = null;
  /** Engines that died or could not load since the last shard that worked. */
  #deaths = 0;
  #progress: EngineProgress = { phase: "starting", shard: "", done: 0, total: 0, loadSeconds: 0 };

  constructor(options: EngineHostOptions) {
    this.#options = options;
  }

  /** Begins to load a run's inputs, so that the first shard need not wait for them. */
  prepare(run: OpenRun): void {
    this.#prepared(run).catch(() => undefined); // The first shard reports it.
  }

  /**
   * Runs a leased shard on a loaded engine.
   * @throws what loading or the program threw, or why the engine died.
   */
  async compute(
    run: OpenRun,
    { shard, attempt }: Lease,
    artifacts: Readonly<Record<string, string>>,
  ): Promise<EngineResult> {
    let engine: EngineProcess | null = null;
    try {
      engine = await this.#prepared(run);
      this.#show({ phase: "running", shard, done: 0, total: 0 });
      const result = await engine.run({ shard, attempt, artifacts });
      this.#deaths = 0;
      return result;
    } catch (thrown) {
      const error = toPatchbayError(thrown);
      if (engine?.alive === false) this.#deaths++;
      if (error.code !== "out_of_memory") throw error;
      await engine?.kill(error); // What is left of its memory is not worth keeping.
      const hint = `plan again with engine.block_mib below ${run.plan.engine.blockMib}`;
      throw new PatchbayError("out_of_memory", `${error.message}; ${hint}`, { cause: error, detail: error.detail });
    } finally {
      this.#show({ phase: "idle", shard: "", done: 0, total: 0 });
    }
  }

  /** Kills the engine, if there is one; the next shard gets a new one. */
  async kill(reason: PatchbayError): Promise<void> {
    const slot = this.#slot;
    this.#slot = null;
    await slot?.process?.kill(reason);
  }

  #prepared(run: OpenRun): Promise<EngineProcess> {
    const slot = this.#slot;
    if (slot !== null && slot.run === run.id && slot.process?.alive !== false) return slot.loaded;
    if (slot?.run !== run.id) this.#deaths = 0;
    const fresh: Slot = { run: run.id, process: null, loaded: Promise.reject(NOT_STARTED) };
    fresh.loaded.catch(() => undefined);
    fresh.loaded = this.#open(run, fresh, slot?.process ?? null);
    this.#slot = fresh;
    return fresh.loaded;
  }

  /** Ends the engine before it, waits the longer the more engines died in a row, then starts and loads one. */
  async #open(run: OpenRun, slot: Slot, before: EngineProcess | null): Promise<EngineProcess> {
    await before?.kill(new PatchbayError("cancelled", "the engine makes room for another run"));
    if (this.#deaths > 0) await wait(Math.min(MAX_BACKOFF_MS, BACKOFF_MS * 2 ** (this.#deaths - 1)));
    if (this.#slot !== slot) throw NOT_STARTED;
    this.#show({ phase: "loading", shard: "", done: 0, total: 0 });
    const init = initOf(run, this.#options.memoryMib);
    const engine = new EngineProcess({ init, stallMs: this.#options.stallMs, onProgress: this.#onProgress });
    slot.process = engine;
    tellParent({ kind: "engine", pid: engine.pid });
    void engine.exited.then(() => {
      if (this.#slot === slot || this.#slot === null) tellParent({ kind: "engine", pid: null });
    });
    try {
      const seconds = await engine.load(init);
      this.#show({ phase: "idle", loadSeconds: this.#progress.loadSeconds + seconds });
      return engine;
    } catch (thrown) {
      this.#deaths++;
      await engine.kill(toPatchbayError(thrown));
      throw startFault(toPatchbayError(thrown));
    }
  }

  readonly #onProgress = (done: number, total: number): void => {
    this.#show({ done, total });
  };

  #show(change: Partial<EngineProgress>): void {
    this.#progress = { ...this.#progress, ...change };
    this.#options.onProgress(this.#progress);
  }
}

/** That an engine died or hung while it loaded is no shard's fault. */
function startFault(error: PatchbayError): PatchbayError {
  if (error.code !== "engine_died" && error.code !== "engine_stalled") return error;
  return new PatchbayError("engine_start_failed", `before it had any shard, ${error.message}`, { cause: error });
}

function initOf(
  { planFiles, planHash, inputs, environment: { backend, threads } }: OpenRun,
  memoryMib: number,
): Extract<ToEngine, { kind: "init" }> {
  return { kind: "init", plan: planFiles, planHash, inputs, backend, threads, memoryMib };
}
