/**
 * @file What an experiment is: the slice of the product that answers one question of a sweep, from its fields to its figures.
 *
 * An experiment's folder holds all of it. What is shared with others it imports from above; another experiment's results it reads as
 * artifacts. The command, the coordinator, the reductions and the engine are handed the list of experiments at their entry.
 */
import type { Reduction } from "../artifacts/reduction.js";
import type { CostPart, CountedTask } from "../cost/counted-task.js";
import type { StageTask } from "../plan/plan.js";
import type { HasOwnFields } from "../plan/stage-view.js";
import type { HasTasks } from "../plan/task-kinds.js";
import type { KeyedTask } from "../plan/shard-keys.js";
import type { PlanPart } from "../plan/plan-part.js";
import type { HasProgram } from "../passes/shard-program.js";
import type { ReportedExperiment } from "../report/report-part.js";
import type { NamesArtifacts } from "../run/stage-artifacts.js";
import type { SweepPart } from "../sweep/sweep-part.js";

/** All that is particular to the stages of one kind. */
export type TaskKind<Task extends StageTask = StageTask> = NamesArtifacts<Task> &
  KeyedTask<Task> &
  Reduction<Task> &
  CountedTask<Task> &
  HasProgram<Task>;

/** A slice of the product. */
export interface Experiment
  extends SweepPart, PlanPart, HasOwnFields, CostPart, ReportedExperiment, HasTasks<TaskKind> {
  readonly name: string;
}
