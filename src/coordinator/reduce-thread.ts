/** @file The thread that reduces stages and writes the report, so that the coordinator keeps answering meanwhile. */
import { parentPort, workerData } from "node:worker_threads";
import { must } from "../base/assert.js";
import type { Reduced } from "../artifacts/reduce-stage.js";
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
    return { id: request.id, failure: null, reduced: await perform(await loading, request) };
  } catch (thrown) {
    return { id: request.id, failure: toFailure(thrown) };
  }
}

async function perform(reductions: Reductions, request: ReduceRequest): Promise<Reduced> {
  switch (request.call) {
    case "reduceStage":
      return await reductions.reduceStage(...request.args);
    case "remakeIfDamaged":
      return { remade: await reductions.remakeIfDamaged(...request.args), warnings: [] };
    case "finishRun":
      return { remade: await reductions.finishRun(...request.args), warnings: [] };
  }
}

let last: Promise<unknown> = Promise.resolve();
port.on("message", (request: ReduceRequest) => {
  last = last.then(async () => {
    port.postMessage(await answer(request));
  });
});
