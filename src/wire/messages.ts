/** @file Schemas of the messages between coordinator, workers and clients. The inferred types are the domain's own. */
import { z } from "zod";
import { ERROR_CODES } from "../base/errors.js";
import { workerEnvironmentSchema } from "../base/environment.js";
import { SHARD_PATTERN } from "../runlog/run-log.js";
import { MAX_HUB, MAX_IDENTIFIER, MAX_LISTED, MAX_SWEEP, MAX_TEXT } from "./limits.js";

const text = z.string().max(MAX_TEXT);
const identifier = z.string().min(1).max(MAX_IDENTIFIER);
const count = z.int().min(0).max(0xffffffff);
const amount = z.number().min(0);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const shardId = z.string().regex(SHARD_PATTERN);
const amounts = z.record(identifier, amount).readonly();

const leaseSchema = z
  .object({ run: identifier, shard: shardId, attempt: count, id: identifier, epoch: count, durationMs: count })
  .readonly();

/** Permission to run one shard. `durationMs` counts from the grant; heartbeats that name the lease renew it. */
export type Lease = z.infer<typeof leaseSchema>;

/** The schema of {@link Failure}. */
export const failureSchema = z
  .object({
    code: z.enum(ERROR_CODES),
    message: text,
    file: text,
    line: count,
    field: text,
  })
  .readonly();

/** An error on the wire. Empty strings and line 0 stand for what is absent. */
export type Failure = z.infer<typeof failureSchema>;

/** What an engine process is doing. */
const ENGINE_PHASES = ["starting", "loading", "idle", "running"] as const;

const engineProgressSchema = z
  .object({
    phase: z.enum(ENGINE_PHASES),
    shard: z.string().max(200),
    done: amount,
    total: amount,
    loadSeconds: amount,
  })
  .readonly();

/** The engine's progress: `done` of `total` units of the shard (`""`: none); `loadSeconds` over all engines of the worker. */
export type EngineProgress = z.infer<typeof engineProgressSchema>;

/** The schema of {@link FromWorker}. */
export const fromWorkerSchema = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("register"),
    protocol: count,
    worker: identifier,
    instance: identifier,
    environment: workerEnvironmentSchema,
    memoryMib: count,
    holding: z.array(leaseSchema).max(1000).readonly(),
  }),
  z.object({
    kind: z.literal("heartbeat"),
    leases: z.array(identifier).max(1000).readonly(),
    engine: engineProgressSchema.nullable(),
  }),
  z.object({ kind: z.literal("completed"), lease: leaseSchema, sha256 }),
  z.object({ kind: z.literal("failed"), lease: leaseSchema, failure: failureSchema }),
  z.object({ kind: z.literal("released"), lease: identifier }),
  z.object({ kind: z.literal("draining") }),
]);
/** What a worker says on its stream. */
export type FromWorker = Readonly<z.infer<typeof fromWorkerSchema>>;

/** The schema of {@link FromCoordinator}. */
export const fromCoordinatorSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("welcome"), epoch: count, heartbeatMs: count.min(1) }),
  z.object({
    kind: z.literal("runOpened"),
    run: identifier,
    planHash: text,
    log: text,
    model: text,
    saes: text,
    saeOptions: text,
    hub: z.string().max(MAX_HUB),
  }),
  z.object({ kind: z.literal("grant"), lease: leaseSchema }),
  z.object({ kind: z.literal("revoke"), lease: identifier, stop: z.boolean(), reason: text }),
  z.object({ kind: z.literal("recall"), lease: identifier }),
  z.object({ kind: z.literal("settled"), leases: z.array(identifier).max(1000).readonly() }),
  z.object({ kind: z.literal("leave"), reason: text }),
]);
/** What the coordinator says on a worker's stream. */
export type FromCoordinator = Readonly<z.infer<typeof fromCoordinatorSchema>>;

/** A message about a run as a worker sees it. */
export type RunOpened = Extract<FromCoordinator, { kind: "runOpened" }>;

const RUN_STATES = ["queued", "running", "complete", "partial", "failed", "cancelled", "interrupted"] as const;
/** A run's state; the last five are final. `interrupted`: the coordinator stopped; the run continues when it is started again. */
export type RunState = (typeof RUN_STATES)[number];

/** Whether a run in this state is over. */
export function isFinal(state: RunState): boolean {
  return state !== "queued" && state !== "running";
}

const STAGE_STATES = ["waiting", "open", "reducing", "reduced", "blocked", "failed"] as const;
/** A stage's state. `blocked`: it, or a stage it depends on, has quarantined shards. */
export type StageState = (typeof STAGE_STATES)[number];

const waitingSchema = z.object({ reason: text, shards: count }).readonly();

const stageStatusSchema = z
  .object({
    stage: identifier,
    state: z.enum(STAGE_STATES),
    reason: text,
    shards: count,
    done: count,
    running: count,
    waiting: count,
    quarantined: count,
    engineSeconds: amount,
    seconds: amount,
    units: amounts,
    freshUnits: amounts,
    reasons: z.array(waitingSchema).max(MAX_LISTED).readonly(),
  })
  .readonly();

/** How far a stage is. `engineSeconds` and `units` include replayed records; `seconds` and `freshUnits` do not. */
export type StageStatus = z.infer<typeof stageStatusSchema>;

const quarantinedSchema = z
  .object({ shard: shardId, code: z.enum(ERROR_CODES), message: text, attempts: count })
  .readonly();

/** A shard that spent its failure budget. */
export type QuarantinedShard = z.infer<typeof quarantinedSchema>;

/** The schema of {@link RunStatus}. */
export const runStatusSchema = z
  .object({
    run: identifier,
    name: text,
    planHash: text,
    folder: text,
    state: z.enum(RUN_STATES),
    reason: text,
    stages: z.array(stageStatusSchema).max(10_000).readonly(),
    quarantined: z.array(quarantinedSchema).max(MAX_LISTED).readonly(),
    warnings: z.array(text).max(MAX_LISTED).readonly(),
    seconds: amount,
  })
  .readonly();

/** How far a run is. */
export type RunStatus = z.infer<typeof runStatusSchema>;

/** A worker's states. `lost`: its stream ended and it may come back. `refused`: it cannot serve the run that is on. */
const WORKER_STATES = ["attached", "lost", "draining", "cordoned", "refused"] as const;

const workerStatusSchema = z
  .object({
    worker: identifier,
    state: z.enum(WORKER_STATES),
    reason: text,
    environment: workerEnvironmentSchema.nullable(),
    leases: count,
    engine: engineProgressSchema.nullable(),
    completed: count,
    memoryMib: count,
  })
  .readonly();

/** What a worker is doing. `memoryMib`: of its machine; 0: unknown. */
export type WorkerStatus = z.infer<typeof workerStatusSchema>;

/** The schema of {@link ClusterStatus}. */
export const clusterStatusSchema = z
  .object({
    runs: z.array(runStatusSchema).max(10_000).readonly(),
    workers: z.array(workerStatusSchema).max(10_000).readonly(),
  })
  .readonly();

/** All runs and workers of a coordinator. */
export type ClusterStatus = z.infer<typeof clusterStatusSchema>;

/** The schema of {@link SubmitRequest}. */
export const submitRequestSchema = z
  .object({
    sweep: z.string().min(1).max(MAX_SWEEP),
    baseFolder: text,
    allowPartial: z.boolean(),
    file: text,
    fresh: z.boolean(),
    files: z
      .array(z.object({ file: text, firstLine: z.int().min(1) }).readonly())
      .max(MAX_LISTED)
      .readonly(),
  })
  .readonly();
/**
 * A sweep's text, the folder on the coordinator's machine that its relative paths start from, what faults call its file (its files, where
 * it is joined of several), and whether earlier runs are ignored.
 */
export type SubmitRequest = z.infer<typeof submitRequestSchema>;

/** The schema of {@link SubmitReply}. */
export const submitReplySchema = z.object({ run: identifier, folder: text }).readonly();
/** The run that a sweep became, and its folder on the coordinator's machine. */
export type SubmitReply = z.infer<typeof submitReplySchema>;

/** The schema of {@link StatusRequest}. */
export const statusRequestSchema = z.object({ run: z.string().max(MAX_IDENTIFIER) }).readonly();
/** `run` may be empty: all runs. */
export type StatusRequest = z.infer<typeof statusRequestSchema>;

/** Names a run. */
export const runRequestSchema = z.object({ run: identifier }).readonly();

/** The schema of {@link CancelReply}. */
export const cancelReplySchema = z.object({ state: z.enum(RUN_STATES) }).readonly();
/** How the run stands now. */
export type CancelReply = z.infer<typeof cancelReplySchema>;

/** The schema of {@link FetchRequest}. */
export const fetchRequestSchema = z
  .object({ run: identifier, name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/) })
  .readonly();
/** `plan.json`, `plan-prompts.json`, or the name of a file under `artifacts/`. */
export type FetchRequest = z.infer<typeof fetchRequestSchema>;

/** The schema of {@link ArtifactPart}. */
export const artifactPartSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("header"), sha256, size: amount }),
  z.object({ kind: z.literal("chunk"), chunk: z.custom<Uint8Array>((value) => value instanceof Uint8Array) }),
]);
/** First a header, then the bytes. */
export type ArtifactPart = Readonly<z.infer<typeof artifactPartSchema>>;
