/** @file The coordinator's side of the reduction thread. Requests are answered one after the other. */
import { Worker } from "node:worker_threads";
import { PatchbayError } from "../base/errors.js";
import { fromFailure } from "../wire/failure.js";
import type { Failure } from "../wire/messages.js";

/** What the thread runs. */
export interface Reductions {
  /** Writes the artifacts of a stage whose shards are all recorded, but for `missing`. Returns warnings. */
  reduceStage(folder: string, stage: string, missing: readonly string[]): Promise<readonly string[]>;
  /** The last step of a run. */
  finishRun(folder: string): Promise<void>;
}

/** A message to the thread; without a stage it asks for the run's last step. */
export interface ReduceRequest {
  readonly id: number;
  readonly folder: string;
  readonly stage: string | null;
  readonly missing: readonly string[];
}

/** The thread's answer. */
export interface ReduceAnswer {
  readonly id: number;
  readonly failure: Failure | null;
  readonly warnings: readonly string[];
}

/** A reduction thread. Owner: whoever started it, through `close`. */
export interface Reducer extends Reductions {
  close(): Promise<void>;
}

/** Modules that together export {@link Reductions}. */
const MODULES = [
  new URL("../reduce/reduce-stage.js", import.meta.url).href,
  new URL("../report/finish-run.js", import.meta.url).href,
];

/** Makes a reducer; its thread starts with the first request, and again after it died. */
export function makeReducer(modules: readonly string[] = MODULES): Reducer {
  const waiting = new Map<number, { resolve: (warnings: readonly string[]) => void; reject: (error: Error) => void }>();
  let thread: Worker | null = null;
  let lastId = 0;

  const giveUp = (error: PatchbayError): void => {
    thread = null;
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  const start = (): Worker => {
    const worker = new Worker(new URL("./reduce-thread.js", import.meta.url), { workerData: modules });
    worker.on("message", ({ id, failure, warnings }: ReduceAnswer) => {
      const request = waiting.get(id);
      waiting.delete(id);
      if (failure === null) request?.resolve(warnings);
      else request?.reject(fromFailure(failure));
    });
    worker.on("error", (cause: Error & { code?: string }) => {
      const code = cause.code === "ERR_WORKER_OUT_OF_MEMORY" ? "out_of_memory" : "application";
      giveUp(new PatchbayError(code, `the reduction thread died: ${cause.message}`, { cause }));
    });
    return worker;
  };
  const ask = (folder: string, stage: string | null, missing: readonly string[]): Promise<readonly string[]> =>
    new Promise((resolve, reject) => {
      const id = ++lastId;
      waiting.set(id, { resolve, reject });
      thread ??= start();
      thread.postMessage({ id, folder, stage, missing } satisfies ReduceRequest);
    });

  return {
    reduceStage: ask,
    finishRun: async (folder) => {
      await ask(folder, null, []);
    },
    close: async () => {
      await thread?.terminate();
      giveUp(new PatchbayError("cancelled", "the coordinator is stopping"));
    },
  };
}
