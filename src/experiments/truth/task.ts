/** @file The task of a stage that measures true effects. */
import type { NodeKind } from "../../nodes/kinds.js";
import type { TruthDonor } from "../../plan/node-list.js";
import type { StageTask } from "../../plan/plan.js";

export interface TruthTask extends StageTask {
  readonly kind: "truth";
  readonly nodes: NodeKind;
  /** What patched nodes take their values from. */
  readonly donor: TruthDonor;
  readonly rowsPerBlock: number;
  /** Whether it repeats a part of the truth with another block shape, for the numeric noise floor. */
  readonly floor: boolean;
}

/** The task as a truth's; null where it is another. */
export function truthTask(task: StageTask): TruthTask | null {
  return task.kind === "truth" ? (task as TruthTask) : null;
}
