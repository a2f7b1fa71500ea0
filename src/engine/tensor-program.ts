/** @file The program of all stages that compute: a tfjs backend, the run's model and SAEs, and the attribution programs. */
import type { Shard, Stage } from "../plan/plan.js";
import { BACKENDS } from "../backends/backend-probe.js";
import { badInput } from "../base/errors.js";
import { startBackend } from "../backends/start-backend.js";
import type { EngineContext, EngineInit, EngineOutcome, EngineProgram } from "./engine-program.js";
import { loadInputs } from "./load-inputs.js";
import { openPrograms } from "./programs.js";
import type { HasProgram } from "../passes/shard-program.js";
import type { HasTasks } from "../plan/task-kinds.js";

/** Part of the engine's memory that weights may take; the rest is for activations, and for weights on their way. */
export const WEIGHTS_SHARE = 0.6;

/**
 * Starts the backend and loads the run's inputs.
 * @throws PatchbayError `bad_input` when other weights lie here than the plan names; `not_built` for a backend; `non_finite`
 *   for a broken weight.
 */
export async function openTensorProgram(
  experiments: readonly HasTasks<HasProgram>[],
  { plan, inputs, backend, memoryMib }: EngineInit,
): Promise<EngineProgram> {
  const name = BACKENDS.find((known) => known === backend);
  if (name === undefined)
    throw badInput(`expected one of ${BACKENDS.join(", ")}, got ${backend}`, { field: "--backend" });
  await startBackend(name);
  const { model } = await loadInputs(inputs, plan, WEIGHTS_SHARE * memoryMib * 2 ** 20, plan.sweep.dtype);
  const programs = openPrograms(experiments);
  return {
    run: async (shard: Shard, stage: Stage, { artifact, progress }: EngineContext): Promise<EngineOutcome> => {
      const { payload, count, units } = await programs.run(
        { plan, model, artifact, onProgress: progress },
        stage,
        shard,
      );
      return { payload, count, units: { [programs.unitOf(stage)]: units } };
    },
  };
}
