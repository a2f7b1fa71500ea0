/** @file How the records of a stage become artifacts: a pure function of the plan, the records and earlier artifacts. */
import type { StageTask } from "../plan/plan.js";
import type { Artifacts } from "../run/artifacts.js";
import type { Provenance } from "./artifact-metadata.js";
import type { RecordSource } from "./stage-records.js";

/** What a reduction is made of. */
export interface ReductionInputs {
  readonly source: RecordSource;
  readonly provenance: Provenance;
  readonly artifacts: Artifacts;
}

/** What a module of reductions exports. */
export interface ReductionModule<Task extends StageTask = StageTask> {
  /**
   * Writes the artifacts of a stage whose shards are all recorded, or given up.
   * @returns warnings: what the artifacts do not say because the results do not bear it.
   */
  reduce(task: Task, inputs: ReductionInputs): Promise<readonly string[]>;
}

/** What a kind of stage says of its reduction. */
export interface Reduction<Task extends StageTask = StageTask> {
  /** Loads it; absent where its records only feed a later stage. */
  reduction?(): Promise<ReductionModule<Task>>;
}
