/** @file The task of a stage that patches whole sets at once. */
import type { TruthDonor } from "../../plan/node-list.js";
import type { StageTask } from "../../plan/plan.js";

export interface JointTask extends StageTask {
  readonly kind: "joint";
  /** What the nodes of the sets take their values from. */
  readonly donor: TruthDonor;
}
