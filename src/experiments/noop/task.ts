/** @file The task of a stage that computes nothing. */
import type { StageTask } from "../../plan/plan.js";

/** Nothing is computed: for measuring what a shard costs besides its computation, and for testing the cluster's recovery. */
export interface NoopTask extends StageTask {
  readonly kind: "noop";
  /** How long each shard takes; absent: as fast as possible. */
  readonly milliseconds?: number;
  /** Size of each payload. */
  readonly bytes?: number;
  readonly faults?: readonly NoopFault[];
}

/** What goes wrong with a `noop` shard, in its first `attempts` attempts. */
export interface NoopFault {
  readonly shard: string;
  readonly kind: "application" | "non_finite" | "out_of_memory" | "exit" | "hang" | "other_bytes";
  readonly attempts: number;
}
