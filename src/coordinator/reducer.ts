/** @file The coordinator's side of the reduction thread. Requests are answered one after the other. */
import { Worker } from "node:worker_threads";
import { entryUrl } from "../base/entries.js";
import { PatchbayError } from "../base/errors.js";
import type { Reduced } from "../artifacts/reduce-stage.js";
import { fromFailure } from "../wire/failure.js";
import type { Failure } from "../wire/messages.js";

type Remade = Reduced["remade"];

/** What the thread runs. */
export interface Reductions {
  /** Writes the artifacts of a stage whose shards are all recorded, but for `missing`. */
  reduceStage(folder: string, stage: string, missing: readonly string[]): Promise<Reduced>;
  /** Makes an artifact again, if it is not as it was written. */
  remakeIfDamaged(folder: string, name: string): Promise<Remade>;
  /** The last step of a run. */
  finishRun(folder: string): Promise<Remade>;
}

/** A message to the thread: a call of one of its functions. */
export type ReduceRequest = {
  [Call in keyof Reductions]: { readonly id: number; readonly call: Call; readonly args: Parameters<Reductions[Call]> };
}[keyof Reductions];

/** The thread's answer. */
export type ReduceAnswer =
  | { readonly id: number; readonly failure: Failure }
  | { readonly id: number; readonly failure: null; readonly reduced: Reduced };

/** A reduction thread. Owner: whoever started it, through `close`. */
export interface Reducer extends Reductions {
  /** Loads what the thread runs, so that the first request need not wait for it. */
  warm(): void;
  close(): Promise<void>;
}

/** Modules that together export {@link Reductions}. */
const MODULES = [entryUrl("reductions").href];

/** Makes a reducer; its thread starts with {@link Reducer.warm} or the first request, and again after it died. */
export function makeReducer(modules: readonly string[] = MODULES): Reducer {
  const waiting = new Map<number, { resolve: (reduced: Reduced) => void; reject: (error: Error) => void }>();
  let thread: Worker | null = null;
  let lastId = 0;

  const giveUp = (error: PatchbayError): void => {
    thread = null;
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  const start = (): Worker => {
    const worker = new Worker(entryUrl("reduce-thread"), { workerData: modules });
    worker.on("message", (answer: ReduceAnswer) => {
      const request = waiting.get(answer.id);
      waiting.delete(answer.id);
      if (answer.failure === null) request?.resolve(answer.reduced);
      else request?.reject(fromFailure(answer.failure));
    });
    worker.on("error", (cause: Error & { code?: string }) => {
      const code = cause.code === "ERR_WORKER_OUT_OF_MEMORY" ? "out_of_memory" : "application";
      giveUp(new PatchbayError(code, `the reduction thread died: ${cause.message}`, { cause }));
    });
    return worker;
  };
  const started = (): Worker => (thread ??= start());
  const ask = (request: ReduceRequest): Promise<Reduced> =>
    new Promise((resolve, reject) => {
      waiting.set(request.id, { resolve, reject });
      started().postMessage(request);
    });

  return {
    reduceStage: (...args) => ask({ id: ++lastId, call: "reduceStage", args }),
    remakeIfDamaged: async (...args) => (await ask({ id: ++lastId, call: "remakeIfDamaged", args })).remade,
    finishRun: async (...args) => (await ask({ id: ++lastId, call: "finishRun", args })).remade,
    warm: () => {
      started();
    },
    close: async () => {
      await thread?.terminate();
      giveUp(new PatchbayError("cancelled", "the coordinator is stopping"));
    },
  };
}
