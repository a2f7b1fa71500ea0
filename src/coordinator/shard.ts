/** @file One shard as the coordinator sees it. */
import type { ErrorCode } from "../base/errors.js";

/** Causes that have separate budgets: worker or engine lost or hung, out of memory, everything else. */
export type FailureClass = "lost" | "memory" | "application";

/** Failed attempts of a shard, of every class. */
export function failedAttempts({ spent }: Pick<ShardState, "spent">): number {
  return spent.lost + spent.memory + spent.application;
}

/** A shard's life: `reported` is between a worker's report and the check of the record. */
export type ShardPhase = "pending" | "leased" | "reported" | "done" | "quarantined";

/** One shard. */
export interface ShardState {
  readonly phase: ShardPhase;
  /** Leases granted so far. */
  readonly attempts: number;
  /** Failures so far by class. */
  readonly spent: Readonly<Record<FailureClass, number>>;
  /** Workers on which it failed. */
  readonly avoid: readonly string[];
  /** Holder while leased. */
  readonly holder: { readonly worker: string; readonly lease: string } | null;
  /** The last failure. */
  readonly failure: { readonly code: ErrorCode; readonly message: string } | null;
}

/** A shard that nobody has had. */
export const FRESH: ShardState = {
  phase: "pending",
  attempts: 0,
  spent: { lost: 0, memory: 0, application: 0 },
  avoid: [],
  holder: null,
  failure: null,
};

/** Shards that most are like: there is one object of each, however many shards are so. */
const PLAIN: readonly ShardState[] = [FRESH, { ...FRESH, phase: "done" }, { ...FRESH, phase: "done", attempts: 1 }];

/** The same state, as the object that all such shards share where it is a plain one. */
export function sharedState(shard: ShardState): ShardState {
  if (shard.failure !== null || shard.holder !== null || shard.avoid.length > 0 || failedAttempts(shard) > 0)
    return shard;
  return PLAIN.find(({ phase, attempts }) => phase === shard.phase && attempts === shard.attempts) ?? shard;
}
