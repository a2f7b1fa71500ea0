/**
 * @file The coordinator's state: plain immutable values, changed by `step` alone. Times are milliseconds of one monotonic clock.
 *
 * Nothing here is stored. A new coordinator rebuilds it from the plan, the run log and what workers say when they attach.
 */
import type { Environment, WorkerEnvironment } from "../base/environment.js";
import type { ShardPlace } from "../plan/stage-shards.js";
import type { EngineProgress, RunState, StageState } from "../wire/messages.js";
import type { FailureClass, ShardPhase } from "./shard.js";
import type { ShardList } from "./shard-list.js";

/** Everything about timing and patience. */
export interface Settings {
  /** How often workers are asked to send a heartbeat. */
  readonly heartbeatMs: number;
  /** A worker that is silent for this long is lost, even if its stream is open. */
  readonly workerTimeoutMs: number;
  /** How long a worker whose stream ended may take to come back before its leases go to others. */
  readonly reattachMs: number;
  /** A lease that no heartbeat names for this long is void. */
  readonly leaseMs: number;
  /** Leases a worker holds at once: one runs, the others wait in front of its engine. */
  readonly pipelineDepth: number;
  /** Retries of a shard by cause. */
  readonly budgets: Readonly<Record<FailureClass, number>>;
  /** Failures in a row after which a worker is cordoned: of different shards, or by its own fault. */
  readonly cordonAfter: number;
}

/** The defaults of {@link Settings}. */
export const DEFAULT_SETTINGS: Settings = {
  heartbeatMs: 1000,
  workerTimeoutMs: 15_000,
  reattachMs: 2000,
  leaseMs: 20_000,
  pipelineDepth: 2,
  budgets: { lost: 3, memory: 1, application: 1 },
  cordonAfter: 3,
};

/** One stage. Its pending shards can be leased: those before `cursor` again, those from it on for the first time. */
export interface StageProgress {
  readonly id: string;
  readonly dependsOn: readonly string[];
  readonly state: StageState;
  readonly reason: string;
  readonly shards: ShardList;
  readonly counts: Readonly<Record<ShardPhase, number>>;
  /** Every shard before this index has been leased, or was complete from the start. */
  readonly cursor: number;
  /** Failed attempts of its shards, of every class. */
  readonly failures: number;
  readonly engineSeconds: number;
  readonly units: Readonly<Record<string, number>>;
  /** What of both is an earlier run's, whose records were taken over. */
  readonly reused: { readonly engineSeconds: number; readonly units: Readonly<Record<string, number>> };
  readonly freshUnits: Readonly<Record<string, number>>;
  readonly firstLeaseAt: number | null;
  readonly lastDoneAt: number | null;
}

/** One run. */
export interface RunProgress {
  readonly id: string;
  readonly name: string;
  readonly planHash: string;
  readonly allowPartial: boolean;
  readonly state: RunState;
  readonly reason: string;
  /** What workers must be; filled in completely by the first lease. */
  readonly environment: Partial<Environment>;
  readonly stages: readonly StageProgress[];
  readonly warnings: readonly string[];
  readonly addedAt: number;
}

/** A lease as its worker holds it. */
export interface HeldLease extends ShardPlace {
  readonly id: string;
  readonly run: string;
  readonly shardId: string;
  readonly attempt: number;
  readonly deadline: number;
  /** It was asked back, because another worker is idle. */
  readonly recalled: boolean;
}

/** One worker, by name. */
export interface WorkerProgress {
  readonly name: string;
  /** Random name of the process. */
  readonly instance: string;
  /** Its stream; null while it is away. */
  readonly session: string | null;
  readonly environment: WorkerEnvironment;
  readonly lastHeardAt: number;
  readonly detachedAt: number | null;
  readonly draining: boolean;
  /** It was told that it may leave. */
  readonly dismissed: boolean;
  /** Why it gets no shards while another worker can take them; null: it is not cordoned. */
  readonly cordoned: string | null;
  /** Shards it failed since its last success; a shard is listed again where the fault was the worker's. */
  readonly failedInARow: readonly string[];
  readonly leases: readonly HeldLease[];
  readonly engine: EngineProgress | null;
  readonly completed: number;
  readonly memoryMib: number;
}

/** The whole state. Runs are in the order they were added, which is their priority. */
export interface CoordinatorState {
  readonly settings: Settings;
  /** Fencing number of this coordinator: larger than that of any before it. */
  readonly epoch: number;
  /** Makes lease ids unique over coordinators. */
  readonly nonce: string;
  readonly nextLease: number;
  readonly draining: boolean;
  /** When the clock was last looked at; null: not yet. */
  readonly lastTickAt: number | null;
  /** When a record was last read back from the log; null: not yet. */
  readonly lastVerifiedAt: number | null;
  readonly runs: ReadonlyMap<string, RunProgress>;
  readonly workers: ReadonlyMap<string, WorkerProgress>;
}

/** A coordinator without runs or workers. */
export function initialState(settings: Settings, epoch: number, nonce: string): CoordinatorState {
  return {
    settings,
    epoch,
    nonce,
    nextLease: 1,
    draining: false,
    lastTickAt: null,
    lastVerifiedAt: null,
    runs: new Map(),
    workers: new Map(),
  };
}

/** The one run whose shards are leased: the first that has not ended. */
export function activeRun(state: CoordinatorState): RunProgress | undefined {
  for (const run of state.runs.values()) if (run.state === "running") return run;
  return undefined;
}
