/**
 * @file The engine process: computes one shard at a time for its supervisor, and ends when the pipe to it closes.
 *
 * Signals from a terminal reach every process of a run at once; here they are ignored, because the supervisor decides.
 */
import { performance } from "node:perf_hooks";
import { must } from "../base/assert.js";
import { PatchbayError, toPatchbayError } from "../base/errors.js";
import { sha256 } from "../base/hash.js";
import { findShard, type Plan } from "../plan/plan.js";
import { openPlan } from "../plan/stored-plan.js";
import { toFailure } from "../wire/failure.js";
import { readCachedFile } from "./cached-file.js";
import { MAX_PAYLOAD_BYTES, type EngineResult, type FromEngine, type ToEngine } from "./engine-messages.js";
import type { EngineInit, EngineProgram } from "./engine-program.js";
import { noopProgram } from "./noop-program.js";
import { loadRegister } from "../experiments/load-register.js";

/** Allocation failures come as many classes of error; what they have in common is their wording. */
const OUT_OF_MEMORY = /out of memory|allocation failed|cannot enlarge memory|\bOOM\b|bad_alloc/i;

interface OpenRun {
  readonly program: EngineProgram;
  readonly plan: Plan;
}

let open: OpenRun | null = null;

function send(message: FromEngine): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}

const progress = (done: number, total: number): void => {
  send({ kind: "progress", done, total });
};

async function openRun(message: Extract<ToEngine, { kind: "init" }>): Promise<void> {
  const start = performance.now();
  const [text, prompts] = [await cachedText(message.plan.plan), await cachedText(message.plan.prompts)];
  const plan = openPlan({ plan: text, prompts: () => prompts }, message.planHash, message.plan.plan);
  const init: EngineInit = { ...message, plan, progress };
  open = { program: await openProgram(init), plan };
  send({ kind: "ready", loadSeconds: (performance.now() - start) / 1000 });
}

async function cachedText(path: string): Promise<string> {
  return new TextDecoder().decode(await readCachedFile(path));
}

/** A plan of `noop` stages alone needs neither backend nor inputs. */
async function openProgram(init: EngineInit): Promise<EngineProgram> {
  const computing = init.plan.stages.some(({ task, shards }) => task.kind !== "noop" && shards.length > 0);
  if (!computing) return noopProgram;
  const { openTensorProgram } = await import("./tensor-program.js");
  const { experiments } = await loadRegister();
  return openTensorProgram(experiments, init);
}

async function runShard({ shard: id, attempt, artifacts }: Extract<ToEngine, { kind: "run" }>): Promise<EngineResult> {
  const { program, plan } = must(open, "run");
  const { shard, stage } = must(findShard(plan, id), `shard ${id}`);
  const artifact = (name: string): Promise<Uint8Array> =>
    readCachedFile(must(artifacts[name], `artifact ${name} of stage ${stage.id}`));
  const start = performance.now();
  const runner = stage.task.kind === "noop" ? noopProgram : program;
  const { payload, count, units } = await runner.run(shard, stage, { artifact, attempt, progress });
  const seconds = (performance.now() - start) / 1000;
  if (payload.byteLength > MAX_PAYLOAD_BYTES) {
    const size = `expected at most ${String(MAX_PAYLOAD_BYTES)} bytes, got ${String(payload.byteLength)}`;
    throw new PatchbayError("out_of_memory", `${id}: the result is too large (${size})`);
  }
  return { payload, sha256: sha256(payload), count, units, seconds };
}

async function handle(message: ToEngine): Promise<void> {
  try {
    if (message.kind === "init") await openRun(message);
    else send({ kind: "result", result: await runShard(message) });
  } catch (thrown) {
    send({ kind: "failed", failure: toFailure(classify(thrown)) });
  }
}

function classify(thrown: unknown): PatchbayError {
  const error = toPatchbayError(thrown);
  if (error.code !== "application" || !OUT_OF_MEMORY.test(error.message)) return error;
  return new PatchbayError("out_of_memory", error.message, { cause: thrown });
}

let last: Promise<void> = Promise.resolve();
process.on("message", (message: ToEngine) => {
  last = last.then(() => handle(message));
});
process.on("disconnect", () => {
  process.exit(0);
});
process.on("SIGINT", () => undefined);
process.on("SIGTERM", () => undefined);
