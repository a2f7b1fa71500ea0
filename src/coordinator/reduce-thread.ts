/** @file The thread that reduces stages and writes the report, so that the coordinator keeps answering meanwhile. */
import { parentPort, workerData } from "node:worker_threads";
import { must } from "../base/assert.js";
import { toFailure } from "../wire/failure.js";
import type { ReduceAnswer, ReduceRequest, Reductions } from "./reducer.js";

const port = must(parentPort, "parent thread");
const modules = workerData as readonly string[];

async function load(): Promise<Reductions> {
  const loaded = await Promise.all(modules.map((url) => import(url) as Promise<Partial<Reductions>>));
  return Object.assign({}, ...loaded) as Reductions;
}

const loading = load();

async function answer(request: ReduceRequest): Promise<ReduceAnswer> {
  try {
    const reductions = await loading;
    if (request.stage !== null) {
      const warnings = await reductions.reduceStage(request.folder, request.stage, request.missing);
      return { id: request.id, failure: null, warnings };
    }
    await reductions.finishRun(request.folder);
    return { id: request.id, failure: null, warnings: [] };
  } catch (thrown) {
    return { id: request.id, failure: toFailure(thrown), warnings: [] };
  }
}

let last: Promise<unknown> = Promise.resolve();
port.on("message", (request: ReduceRequest) => {
  last = last.then(async () => {
    port.postMessage(await answer(request));
  });
});
