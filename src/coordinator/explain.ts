/** @file Why a shard is not running, and how everything stands, in words a person can read. */
import { must } from "../base/assert.js";
import { MAX_LISTED } from "../wire/limits.js";
import type { ClusterStatus, QuarantinedShard, RunStatus, StageStatus, WorkerStatus } from "../wire/messages.js";
import { placeOf, shardId } from "../plan/stage-shards.js";
import { eligibleWorkers, obstacle } from "./eligibility.js";
import { failedAttempts } from "./shard.js";
import {
  activeRun,
  type CoordinatorState,
  type RunProgress,
  type StageProgress,
  type WorkerProgress,
} from "./state.js";

/** Why the shard is not running; null when it runs, is being stored, or is done. */
export function explainShard(state: CoordinatorState, runId: string, shardId: string): string | null {
  const run = must(state.runs.get(runId), `run ${runId}`);
  const { stage, shard } = must(placeOf(run, shardId), `shard ${shardId}`);
  return shardReason(
    must(run.stages[stage], "stage"),
    shard,
    waitingReason(state, run, must(run.stages[stage], "stage")),
  );
}

/** How all runs and workers stand. */
export function clusterStatus(
  state: CoordinatorState,
  folders: ReadonlyMap<string, string>,
  now: number,
): ClusterStatus {
  return {
    runs: [...state.runs.keys()].map((id) => runStatus(state, id, folders.get(id) ?? "", now)),
    workers: [...state.workers.values()].map((worker) => workerStatus(state, worker)),
  };
}

/** How a run stands. Long lists are cut. */
export function runStatus(state: CoordinatorState, runId: string, folder: string, now: number): RunStatus {
  const run = must(state.runs.get(runId), `run ${runId}`);
  return {
    run: run.id,
    name: run.name,
    planHash: run.planHash,
    folder,
    state: run.state,
    reason: run.reason,
    stages: run.stages.map((stage) => stageStatus(state, run, stage, now)),
    quarantined: quarantinedShards(run, MAX_LISTED),
    warnings: run.warnings.slice(0, MAX_LISTED),
    seconds: (now - run.addedAt) / 1000,
  };
}

/** The shards that spent a failure budget: the first `limit` of them, or all. */
export function quarantinedShards({ stages }: RunProgress, limit = Infinity): QuarantinedShard[] {
  const found: QuarantinedShard[] = [];
  for (const { id, shards } of stages) {
    for (const index of shards.indexesOf("quarantined")) {
      if (found.length === limit) return found;
      const shard = shards.at(index);
      const failure = must(shard.failure, "failure of a quarantined shard");
      found.push({ shard: shardId(id, index), ...failure, attempts: failedAttempts(shard) });
    }
  }
  return found;
}

function stageStatus(state: CoordinatorState, run: RunProgress, stage: StageProgress, now: number): StageStatus {
  const { counts } = stage;
  const end = counts.pending + counts.leased + counts.reported > 0 ? now : (stage.lastDoneAt ?? now);
  return {
    stage: stage.id,
    state: stage.state,
    reason: stage.reason,
    shards: stage.shards.length,
    done: counts.done,
    running: counts.leased + counts.reported,
    waiting: counts.pending,
    quarantined: counts.quarantined,
    engineSeconds: stage.engineSeconds,
    seconds: stage.firstLeaseAt === null ? 0 : (end - stage.firstLeaseAt) / 1000,
    units: stage.units,
    freshUnits: stage.freshUnits,
    reasons: groupReasons(state, run, stage),
  };
}

/** What shards wait for and why others were given up, in shard order. Only those that failed are looked at one by one. */
function groupReasons(state: CoordinatorState, run: RunProgress, stage: StageProgress): StageStatus["reasons"] {
  if (stage.counts.pending + stage.counts.quarantined === 0) return [];
  const waiting = waitingReason(state, run, stage);
  const groups = new Map<string, { readonly first: number; shards: number }>();
  let untried = stage.counts.pending;
  for (const index of stage.shards.indexesOf("failed")) {
    const reason = shardReason(stage, index, waiting);
    if (reason === null) continue;
    const group = groups.get(reason) ?? { first: index, shards: 0 };
    groups.set(reason, { ...group, shards: group.shards + 1 });
    if (stage.shards.at(index).phase === "pending") untried--;
  }
  if (untried > 0) groups.set(waiting, { first: firstUntried(stage), shards: untried });
  const sorted = [...groups].sort(([, a], [, b]) => a.first - b.first);
  return sorted.slice(0, MAX_LISTED).map(([reason, { shards }]) => ({ reason, shards }));
}

/** The first pending shard that has not failed before. */
function firstUntried({ shards }: StageProgress): number {
  for (const index of shards.indexesOf("pending")) if (shards.at(index).failure === null) return index;
  return shards.length;
}

function shardReason(stage: StageProgress, index: number, waiting: string): string | null {
  const shard = stage.shards.at(index);
  const { phase, failure } = shard;
  const last = failure === null ? "" : `${failure.code}: ${failure.message}`;
  if (phase === "quarantined") return `quarantined after ${failedAttempts(shard)} failed attempts: ${last}`;
  if (phase !== "pending") return null;
  return failure === null ? waiting : `${waiting}; last attempt: ${last}`;
}

/** What all pending shards of a stage wait for. */
function waitingReason(state: CoordinatorState, run: RunProgress, stage: StageProgress): string {
  if (run.state === "queued") return `waiting: run ${activeRun(state)?.id ?? "another"} is before it`;
  if (run.state !== "running") return `not run: the run is ${run.state}`;
  if (stage.state === "waiting") return stage.reason;
  if (stage.state !== "open") return `${stage.state}: ${stage.reason}`;
  if (state.draining) return "waiting: the coordinator is stopping";
  const workers = [...state.workers.values()];
  if (workers.length === 0) return "waiting: no worker is attached";
  if (eligibleWorkers(state, run).length > 0) return "waiting for a free worker";
  const why = workers.map((worker) => `${worker.name}: ${obstacle(state, run, worker) ?? "free"}`).join("; ");
  return `waiting: 0 of ${workers.length} workers can serve the run (${why})`;
}

function workerStatus(state: CoordinatorState, worker: WorkerProgress): WorkerStatus {
  const run = activeRun(state);
  const reason = run === undefined ? null : obstacle(state, run, worker);
  return {
    worker: worker.name,
    state: workerState(worker, reason),
    reason: reason ?? (worker.cordoned === null ? "" : `cordoned: ${worker.cordoned}`),
    environment: worker.environment,
    leases: worker.leases.length,
    engine: worker.engine,
    completed: worker.completed,
    memoryMib: worker.memoryMib,
  };
}

function workerState({ session, draining, cordoned }: WorkerProgress, reason: string | null): WorkerStatus["state"] {
  if (session === null) return "lost";
  if (draining) return "draining";
  if (cordoned !== null) return "cordoned";
  return reason === null ? "attached" : "refused";
}
