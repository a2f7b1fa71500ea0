/**
 * @file The program of `noop` stages: no tensors, a payload that follows from the shard alone, and faults on demand. It measures what
 * a shard costs besides its computation, and lets tests break an engine in a chosen place.
 */
import { randomBytes } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import { PatchbayError } from "../base/errors.js";
import { sha256 } from "../base/hash.js";
import type { Shard, Stage } from "../plan/plan.js";
import type { EngineContext, EngineOutcome, EngineProgram } from "./engine-program.js";
import type { NoopFault, NoopTask } from "../experiments/noop/task.js";

const DEFAULT_BYTES = 256;
const STEPS = 10;

/** Runs shards of `noop` stages. */
export const noopProgram: EngineProgram = {
  run: async (shard: Shard, stage: Stage, context: EngineContext): Promise<EngineOutcome> => {
    const task = noopTask(stage);
    const fault = task.faults?.find((one) => one.shard === shard.id && context.attempt <= one.attempts);
    for (let step = 0; task.milliseconds !== undefined && step < STEPS; step++) {
      await wait(task.milliseconds / STEPS);
      context.progress(step + 1, STEPS);
      if (step === STEPS / 2 && fault !== undefined) await fail(fault);
    }
    if (fault !== undefined) await fail(fault);
    const payload = payloadOf(shard.id, task.bytes ?? DEFAULT_BYTES);
    if (fault?.kind === "other_bytes") payload.set(randomBytes(16));
    return { payload, count: shard.prompts.length, units: { shards: 1 } };
  },
};

function noopTask({ id, task }: Stage): NoopTask {
  if (task.kind !== "noop") throw new Error(`bug: stage ${id} is not a noop stage`);
  return task as NoopTask;
}

function payloadOf(shard: string, bytes: number): Uint8Array {
  return Buffer.alloc(bytes, Buffer.from(sha256(shard), "hex"));
}

async function fail({ kind, shard }: NoopFault): Promise<void> {
  switch (kind) {
    case "application":
    case "non_finite":
    case "out_of_memory":
      throw new PatchbayError(kind, `${shard}: the plan asks for this failure`);
    case "exit":
      process.exit(7);
      break;
    case "hang":
      await new Promise(() => setInterval(() => undefined, 1_000_000));
      break;
    case "other_bytes":
      break;
  }
}
