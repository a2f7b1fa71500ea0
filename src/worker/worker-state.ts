/** @file A worker's own state machine: the leases it holds, and what has to be done about them. Values are immutable. */
import type { WorkerEnvironment } from "../base/environment.js";
import type { EngineProgress, Failure, FromCoordinator, FromWorker, Lease } from "../wire/messages.js";

/** A lease's life on the worker. `reported` lasts until the coordinator has taken note. */
export type HeldPhase =
  | { readonly kind: "queued" }
  | { readonly kind: "running" }
  | { readonly kind: "storing" }
  | { readonly kind: "reported"; readonly message: FromWorker; readonly sentAt: number };

/** One lease. */
export interface Held {
  readonly lease: Lease;
  readonly phase: HeldPhase;
}

/** Who the worker is. */
export interface WorkerIdentity {
  readonly worker: string;
  readonly instance: string;
  readonly environment: WorkerEnvironment;
  readonly memoryMib: number;
}

/** The whole state. Leases are in the order they came. */
export interface WorkerMachine {
  readonly identity: WorkerIdentity;
  readonly connected: boolean;
  /** The coordinator has answered the registration on this stream. */
  readonly welcomed: boolean;
  readonly draining: boolean;
  readonly saidDrainingAt: number;
  readonly held: readonly Held[];
  readonly engine: EngineProgress | null;
  readonly heartbeatMs: number;
  readonly lastHeartbeatAt: number;
  readonly left: boolean;
}

/** Everything that can happen to a worker. */
export type WorkerEvent =
  | { readonly kind: "connected" }
  | { readonly kind: "disconnected" }
  | { readonly kind: "message"; readonly message: FromCoordinator }
  /** The engine finished the lease's shard. */
  | { readonly kind: "computed"; readonly lease: string }
  /** The record is in the log; `sha256` is the hash of this attempt's payload. */
  | { readonly kind: "stored"; readonly lease: string; readonly sha256: string }
  | { readonly kind: "failed"; readonly lease: string; readonly failure: Failure }
  | { readonly kind: "engine"; readonly engine: EngineProgress }
  | { readonly kind: "drain" }
  | { readonly kind: "tick" };

/** Everything a worker wants done. */
export type WorkerEffect =
  | { readonly kind: "send"; readonly message: FromWorker }
  | { readonly kind: "run"; readonly lease: Lease }
  /** Append the finished shard's record. */
  | { readonly kind: "store"; readonly lease: Lease }
  /** Kill the engine: what it works on is not wanted. */
  | { readonly kind: "stop"; readonly lease: Lease; readonly reason: string }
  | { readonly kind: "leave"; readonly reason: string };

/** Reports that are not settled are repeated after this long: a message may have been lost with its stream. */
export const REPEAT_MS = 5000;

/** A worker that has not dialled yet. */
export function newWorker(identity: WorkerIdentity): WorkerMachine {
  return {
    identity,
    connected: false,
    welcomed: false,
    draining: false,
    saidDrainingAt: -Infinity,
    held: [],
    engine: null,
    heartbeatMs: 1000,
    lastHeartbeatAt: -Infinity,
    left: false,
  };
}
