/** @file What a program keeps from one shard of a plan to the next. */
import type { Plan } from "../plan/plan.js";

/** Something that is made once for a plan. */
export interface KeptForPlan<Kept> {
  /** What is kept for this plan; what was kept for another is forgotten. */
  of(plan: Plan): Kept;
  forget(): void;
}

/** Keeps nothing yet. */
export function keepForPlan<Kept>(make: (plan: Plan) => Kept): KeptForPlan<Kept> {
  let latest: { readonly plan: Plan; readonly kept: Kept } | undefined;
  return {
    of: (plan) => {
      if (latest?.plan !== plan) latest = { plan, kept: make(plan) };
      return latest.kept;
    },
    forget: () => {
      latest = undefined;
    },
  };
}
