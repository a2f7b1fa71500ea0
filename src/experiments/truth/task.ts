/** @file The task of a stage that measures true effects. */
import type { NodeKind } from "../../nodes/kinds.js";
import type { StageTask } from "../../plan/plan.js";

export interface TruthTask extends StageTask {
  readonly kind: "truth";
  readonly nodes: NodeKind;
  readonly rowsPerBlock: number;
  /** Whether it repeats a part of the truth with another block shape, for the numeric noise floor. */
  readonly floor: boolean;
}

/** The task as a truth's; null where it is another. */
export function truthTask(task: StageTask): TruthTask | null {
  return task.kind === "truth" ? (task as TruthTask) : null;
}
