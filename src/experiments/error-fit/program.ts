/** @file The engine's program for the fits of errors. */
import { must } from "../../base/assert.js";
import { fitOf } from "../../plan/fit-spec.js";
import type { Plan, Shard } from "../../plan/plan.js";
import type { ShardInputs, ShardProgram } from "../../passes/shard-program.js";
import type { SplicedModel } from "../../passes/spliced-model.js";
import { computeErrorFit } from "./error-fit.js";
import { fitGroups } from "./fit-blocks.js";
import { type FitWalk, openFitWalk } from "./fit-walk.js";
import { encodeErrorFit, type ErrorFitResult } from "./payload.js";
import type { FitTask } from "./task.js";

/** Makes the program. It keeps how far the prompts have climbed from one site to the next. */
export function openProgram(): ShardProgram<FitTask> {
  let kept: { readonly plan: Plan; readonly model: SplicedModel; readonly walk: FitWalk } | null = null;
  const release = (): void => {
    kept?.walk.dispose();
    kept = null;
  };
  const walkOf = (plan: Plan, model: SplicedModel): FitWalk => {
    if (kept?.plan === plan && kept.model === model) return kept.walk;
    release();
    kept = { plan, model, walk: openFitWalk(model.model, fitGroups(plan)) };
    return kept.walk;
  };
  const compute = (
    { plan, model, onProgress }: Omit<ShardInputs, "artifact">,
    { sites }: FitTask,
    shard: Shard,
  ): Promise<ErrorFitResult> => {
    const at = must(sites[must(shard.slots, "slots")[0]], "site");
    const { ridge } = must(fitOf(plan.sweep), "fit");
    return computeErrorFit(model, walkOf(plan, model), { at, ridge }, onProgress);
  };
  return {
    run: async (inputs, task, shard) => {
      const fit = await compute(inputs, task, shard);
      return { payload: encodeErrorFit(fit), count: inputs.plan.fitPrompts?.length ?? 0, units: fit.rows };
    },
    probe: async (inputs, task, shard) => {
      await compute(inputs, task, shard);
    },
    release,
  };
}
