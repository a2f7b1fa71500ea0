/** @file What an experiment says of the work of its programs, beside them. */
import type { Prompt } from "../nodes/prompt.js";
import type { MemoryShape } from "../plan/memory.js";
import type { Plan, Shard, StageTask } from "../plan/plan.js";
import type { StageShards } from "../plan/stage-shards.js";
import type { CostModel } from "./run-work.js";
import type { Work } from "./work.js";

/** What work is counted for. */
export interface WorkContext {
  readonly plan: Plan;
  readonly model: CostModel;
  /** Engines, each of which needs for itself what shards of a block of prompts share. */
  readonly workers: number;
}

/** A shard's work. */
export interface ShardCost {
  /** In the unit of the kind of stage. */
  readonly units: number;
  readonly work: Work;
  /** The size of its largest block, in what {@link TaskCost.alive} takes. */
  readonly widest?: number;
}

/** The largest blocks of a stage. */
export interface LargestBlock {
  readonly prompts: number;
  readonly widest: number;
}

/** How the work of a kind of stage is counted. Every shard is cut into blocks by the program's own rules. */
export interface TaskCost<Task extends StageTask = StageTask> {
  shard(context: WorkContext, task: Task, shard: Shard): ShardCost;
  /**
   * Adds to `work` what shards of the same prompts share in an engine.
   * @param before - prompts of the shard that ran before, joined.
   * @returns those of the last shard.
   */
  addShared?(work: Work, context: WorkContext, shards: StageShards, before: string): string;
  /** Numbers alive at once while the largest block is computed, without weights. */
  alive(shape: MemoryShape, largest: LargestBlock): number;
}

/** What a kind of stage says of its cost. */
export interface CountedTask<Task extends StageTask = StageTask> {
  /** Absent where nothing is computed. */
  readonly cost?: TaskCost<Task>;
}

/** What an experiment says of its cost. */
export interface CostPart {
  /**
   * Its fields in a sweep that is small enough to be run before an estimate: one shard of each program, with the blocks of the plan.
   * Absent where they stay as they are.
   */
  probed?(sweep: Plan["sweep"], prompts: readonly Prompt[], withSaes: boolean): Readonly<Record<string, unknown>>;
  /** What an estimate says of its part of a plan, beside its stages. */
  counted?(plan: Plan): readonly string[];
  /** Whether a stage of its is run in a probe; absent where all are. */
  isProbed?(task: StageTask): boolean;
}
