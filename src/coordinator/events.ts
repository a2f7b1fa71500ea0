/** @file What happens to a coordinator (events), and what it wants done (effects). */
import type { ErrorCode } from "../base/errors.js";
import type { Environment } from "../base/environment.js";
import type { RecordedShards } from "./recorded-shards.js";
import type { FromWorker, Lease, RunState } from "../wire/messages.js";

/** A stage as the coordinator needs it. */
export interface StageToRun {
  readonly id: string;
  readonly dependsOn: readonly string[];
  /** How many shards it has; {@link shardId} names them. */
  readonly shards: number;
  /** Records of its shards that are in the log already, verified. */
  readonly recorded: RecordedShards;
}

/** What a record says that the coordinator keeps. */
export interface RecordFacts {
  readonly shard: string;
  /** Hash of the stored payload. */
  readonly sha256: string;
  /** The engine's wall time. */
  readonly seconds: number;
  readonly units: Readonly<Record<string, number>>;
  /** Whether an earlier run took this time and did this work. */
  readonly reused: boolean;
}

/** A run to take up. */
export interface RunToAdd {
  readonly id: string;
  readonly name: string;
  readonly planHash: string;
  readonly allowPartial: boolean;
  /** What workers must be; parts left out are fixed by the first lease. */
  readonly environment: Partial<Environment>;
  readonly stages: readonly StageToRun[];
}

type Registration = Extract<FromWorker, { kind: "register" }>;
type Heartbeat = Extract<FromWorker, { kind: "heartbeat" }>;
type Completed = Extract<FromWorker, { kind: "completed" }>;
type Failed = Extract<FromWorker, { kind: "failed" }>;
type Released = Extract<FromWorker, { kind: "released" }>;

/** Where a message came from: worker names outlive their streams (sessions). */
interface FromSession {
  readonly worker: string;
  readonly session: string;
}

/** Everything that can happen. */
export type CoordinatorEvent =
  | { readonly kind: "runAdded"; readonly run: RunToAdd }
  | ({ readonly kind: "workerAttached" } & FromSession & { readonly registration: Registration })
  | ({ readonly kind: "workerDetached" } & FromSession)
  | ({ readonly kind: "workerDraining" } & FromSession)
  | ({ readonly kind: "heartbeat" } & FromSession & Pick<Heartbeat, "leases" | "engine">)
  | ({ readonly kind: "shardCompleted" } & FromSession & Pick<Completed, "lease" | "sha256">)
  | ({ readonly kind: "shardFailed" } & FromSession & Pick<Failed, "lease" | "failure">)
  | ({ readonly kind: "leaseReleased" } & FromSession & Pick<Released, "lease">)
  /** The stored record of a reported shard is sound. */
  | { readonly kind: "recordVerified"; readonly run: string; readonly report: Report; readonly record: RecordFacts }
  | {
      readonly kind: "recordRejected";
      readonly run: string;
      readonly report: Report;
      readonly code: ErrorCode;
      readonly message: string;
    }
  | {
      readonly kind: "stageReduced";
      readonly run: string;
      readonly stage: string;
      /** Sentences for the run's status and run.json. */
      readonly warnings?: readonly string[];
    }
  | {
      readonly kind: "reduceFailed";
      readonly run: string;
      readonly stage: string;
      readonly code: ErrorCode;
      readonly message: string;
    }
  | { readonly kind: "cancel"; readonly run: string }
  /** No new leases; runs end as `interrupted`, `now` or once nothing is in flight. */
  | { readonly kind: "drain"; readonly now: boolean }
  | { readonly kind: "tick" };

/** The events of one kind. */
export type EventOf<K extends CoordinatorEvent["kind"]> = Extract<CoordinatorEvent, { kind: K }>;

/** The effects of one kind. */
export type EffectOf<K extends CoordinatorEffect["kind"]> = Extract<CoordinatorEffect, { kind: K }>;

/** A worker's claim that a record is in the log. */
export interface Report {
  readonly worker: string;
  readonly lease: string;
  readonly shard: string;
  /** Hash of the payload of the worker's own attempt. */
  readonly sha256: string;
}

/** Everything the coordinator asks its surroundings to do. */
export type CoordinatorEffect =
  | { readonly kind: "welcome"; readonly session: string }
  | { readonly kind: "grant"; readonly session: string; readonly lease: Lease }
  | {
      readonly kind: "revoke";
      readonly session: string;
      readonly lease: string;
      readonly stop: boolean;
      readonly reason: string;
    }
  | { readonly kind: "recall"; readonly session: string; readonly lease: string }
  | { readonly kind: "settled"; readonly session: string; readonly lease: string }
  /** The worker may go: it said it would, and holds nothing. */
  | { readonly kind: "leave"; readonly session: string; readonly reason: string }
  /** Ends the stream; the worker may try again later. */
  | { readonly kind: "close"; readonly session: string; readonly reason: string }
  /** Read the record, check it against its hash, the plan and the run's environment, and keep a copy in the run folder. */
  | { readonly kind: "verify"; readonly run: string; readonly report: Report }
  | { readonly kind: "reduce"; readonly run: string; readonly stage: string; readonly missing: readonly string[] }
  | {
      readonly kind: "quarantined";
      readonly run: string;
      readonly shard: string;
      readonly code: ErrorCode;
      readonly message: string;
    }
  | { readonly kind: "nondeterminism"; readonly run: string; readonly shard: string; readonly message: string }
  | { readonly kind: "started"; readonly run: string }
  | { readonly kind: "finished"; readonly run: string; readonly state: RunState }
  | { readonly kind: "log"; readonly level: "note" | "warning"; readonly text: string };

/** What a worker says on a stream, as an event. */
export function toEvent(worker: string, session: string, message: FromWorker): CoordinatorEvent {
  switch (message.kind) {
    case "register":
      return { kind: "workerAttached", worker, session, registration: message };
    case "heartbeat":
      return { ...message, worker, session };
    case "completed":
      return { kind: "shardCompleted", worker, session, lease: message.lease, sha256: message.sha256 };
    case "failed":
      return { kind: "shardFailed", worker, session, lease: message.lease, failure: message.failure };
    case "released":
      return { kind: "leaseReleased", worker, session, lease: message.lease };
    case "draining":
      return { kind: "workerDraining", worker, session };
  }
}
