/** @file What an engine runs for the shards of one kind of stage. */
import type { Plan, Shard, StageTask } from "../plan/plan.js";
import type { ReadArtifact } from "../run/artifacts.js";
import type { OnProgress } from "./breathe.js";
import type { SplicedModel } from "./spliced-model.js";

/** Everything a shard's program reads. */
export interface ShardInputs {
  readonly plan: Plan;
  readonly model: SplicedModel;
  /** Reads an artifact that the stage `reads`. */
  readonly artifact: ReadArtifact;
  readonly onProgress: OnProgress;
}

/** What a shard's program gives. */
export interface ShardOutcome {
  /** Body of the run-log record. */
  readonly payload: Uint8Array;
  /** Prompts in it. */
  readonly count: number;
  /** Work done, in the unit of the kind of stage. */
  readonly units: number;
}

/** A program that is ready to run shards of its kind. */
export interface ShardProgram<Task extends StageTask = StageTask> {
  /** @throws PatchbayError `non_finite`, `out_of_memory`, `application`. */
  run(inputs: ShardInputs, task: Task, shard: Shard): Promise<ShardOutcome>;
  /** Computes a shard of a probe plan, whose results nobody reads, without artifacts. */
  probe(inputs: Omit<ShardInputs, "artifact">, task: Task, shard: Shard): Promise<void>;
  /** Releases what it keeps from one shard to the next. */
  release?(): void;
}

/** What a kind of stage says of its program. */
export interface HasProgram<Task extends StageTask = StageTask> {
  /** What its work is counted in. */
  readonly unit: string;
  /** Loads the program, which imports tensors; absent where a stage has no shards, or none that need the model. */
  program?(): Promise<{ openProgram(): ShardProgram<Task> }>;
}
