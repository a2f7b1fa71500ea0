/** @file The supervisor's handle on one engine process: starts it, asks it for shards, notices when it dies or hangs. */
import { fork, type ChildProcess } from "node:child_process";
import { performance } from "node:perf_hooks";
import { threadSettings } from "../backends/thread-settings.js";
import { entryFile } from "../base/entries.js";
import { PatchbayError } from "../base/errors.js";
import { fromFailure } from "../wire/failure.js";
import { countMemoryKills, deathCause } from "./death-cause.js";
import type { EngineResult, FromEngine, ToEngine } from "../engine/engine-messages.js";

const LAST_WORDS = 4096;
const LOOK_MS = 500;
/** Weights are read without a word, and a large model takes its time. */
const LOADING_PATIENCE = 10;

/** What an engine is started with. */
export interface EngineOptions {
  readonly init: Extract<ToEngine, { kind: "init" }>;
  /** An engine that runs a shard and says nothing for this long is killed; loading may take ten times as long. */
  readonly stallMs: number;
  readonly onProgress: (done: number, total: number) => void;
}

interface Pending {
  readonly resolve: (message: FromEngine) => void;
  readonly reject: (error: PatchbayError) => void;
}

/** One engine process. It handles one request at a time. */
export class EngineProcess {
  readonly pid: number | null;
  readonly #child: ChildProcess;
  readonly #memoryKills: Promise<number>;
  /** Resolves when the process is gone. */
  readonly exited: Promise<void>;
  #pending: Pending | null = null;
  #killedFor: PatchbayError | null = null;
  #dead: PatchbayError | null = null;
  #lastWords = "";
  #heardAt = 0;
  #patience = 1;

  /** Starts the process; `load` makes it useful. */
  constructor({ init, stallMs, onProgress }: EngineOptions) {
    this.#memoryKills = countMemoryKills();
    const env = { ...process.env, ...threadSettings(init.threads) };
    this.#child = fork(entryFile("engine"), [], {
      serialization: "advanced",
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      env,
    });
    this.pid = this.#child.pid ?? null;
    this.#child.stderr?.on("data", (chunk: Buffer) => {
      this.#lastWords = (this.#lastWords + chunk.toString("utf8")).slice(-LAST_WORDS);
    });
    this.#child.on("message", (message: FromEngine) => {
      this.#heardAt = performance.now();
      if (message.kind === "progress") onProgress(message.done, message.total);
      else this.#take()?.resolve(message);
    });
    this.exited = new Promise((resolve) => {
      const end = (code: number | null, signal: NodeJS.Signals | null, cause?: Error): void => {
        void this.#bury(code, signal, cause).then(resolve);
      };
      this.#child.once("exit", end);
      this.#child.on("error", (cause) => {
        if (this.pid === null) end(null, null, cause);
      });
    });
    const timer = setInterval(() => {
      this.#checkProgress(stallMs);
    }, LOOK_MS);
    void this.exited.then(() => {
      clearInterval(timer);
    });
  }

  /** Whether it can be asked for something. */
  get alive(): boolean {
    return this.#dead === null && this.#killedFor === null;
  }

  /** Loads the run's inputs. @returns the seconds it took. @throws what loading threw, or why the process died. */
  async load(init: EngineOptions["init"]): Promise<number> {
    this.#patience = LOADING_PATIENCE;
    const answer = await this.#ask(init);
    this.#patience = 1;
    if (answer.kind === "ready") return answer.loadSeconds;
    throw unexpected(answer);
  }

  /** Runs a shard. @throws what the program threw, or why the process died. */
  async run(request: Omit<Extract<ToEngine, { kind: "run" }>, "kind">): Promise<EngineResult> {
    const answer = await this.#ask({ kind: "run", ...request });
    if (answer.kind === "result") return answer.result;
    throw unexpected(answer);
  }

  /** Kills it; what it was asked for is rejected with `reason`. Resolves when it is gone. */
  async kill(reason: PatchbayError): Promise<void> {
    if (this.#dead === null) {
      this.#killedFor ??= reason;
      this.#child.kill("SIGKILL");
    }
    await this.exited;
  }

  #ask(message: ToEngine): Promise<FromEngine> {
    return new Promise((resolve, reject) => {
      if (this.#dead !== null || this.#killedFor !== null) {
        reject(this.#dead ?? this.#killedFor ?? new PatchbayError("engine_died", "the engine process is gone"));
        return;
      }
      this.#pending = { resolve, reject };
      this.#heardAt = performance.now();
      // A failed write means that the process is ending; its exit rejects the request.
      this.#child.send(message, () => undefined);
    });
  }

  #take(): Pending | null {
    const pending = this.#pending;
    this.#pending = null;
    return pending;
  }

  #checkProgress(stallMs: number): void {
    const limitMs = stallMs * this.#patience;
    if (this.#pending === null || performance.now() - this.#heardAt < limitMs) return;
    const silence = `${Math.round(limitMs / 1000)} s`;
    void this.kill(new PatchbayError("engine_stalled", `the engine made no progress for ${silence} and was killed`));
  }

  async #bury(code: number | null, signal: NodeJS.Signals | null, cause: Error | undefined): Promise<void> {
    const memoryKills = [await this.#memoryKills, await countMemoryKills()] as const;
    this.#dead =
      this.#killedFor ??
      (cause === undefined
        ? deathCause({ code, signal, lastWords: this.#lastWords, memoryKills })
        : new PatchbayError("engine_died", `the engine process could not be started: ${cause.message}`, { cause }));
    this.#take()?.reject(this.#dead);
  }
}

function unexpected(answer: FromEngine): PatchbayError {
  if (answer.kind === "failed") return fromFailure(answer.failure);
  return new PatchbayError("application", `bug: the engine answered ${answer.kind}`);
}
