/** @file The task of the stage that splits errors. */
import type { SaeSiteAt } from "../../nodes/site.js";
import type { StageTask } from "../../plan/plan.js";

/** What a stage asks that fits the linear parts of SAE errors. */
export interface FitTask extends StageTask {
  readonly kind: "fit";
  /** Every site with an SAE, in forward order: a shard is one of them. */
  readonly sites: readonly SaeSiteAt[];
}
