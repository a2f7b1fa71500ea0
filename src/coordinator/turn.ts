/** @file One turn of the state machine: the state as it changes, the effects so far, and the only ways to change either. */
import type { ShardPlace } from "../plan/stage-shards.js";
import { must } from "../base/assert.js";
import type { CoordinatorEffect } from "./events.js";
import { failedAttempts, type ShardState } from "./shard.js";
import type { CoordinatorState, RunProgress, StageProgress, WorkerProgress } from "./state.js";

/** The working state of one `step`. Values inside `state` are never changed in place. */
export interface Turn {
  state: CoordinatorState;
  readonly effects: CoordinatorEffect[];
  readonly now: number;
}

/** Replaces parts of the state. */
export function patchState(turn: Turn, patch: Partial<CoordinatorState>): void {
  turn.state = { ...turn.state, ...patch };
}

/** Replaces parts of a worker. */
export function patchWorker(turn: Turn, name: string, patch: Partial<WorkerProgress>): void {
  putWorker(turn, { ...must(turn.state.workers.get(name), `worker ${name}`), ...patch });
}

/** Adds or replaces a worker. */
export function putWorker(turn: Turn, worker: WorkerProgress): void {
  patchState(turn, { workers: new Map(turn.state.workers).set(worker.name, worker) });
}

/** Forgets a worker. */
export function removeWorker(turn: Turn, name: string): void {
  const workers = new Map(turn.state.workers);
  workers.delete(name);
  patchState(turn, { workers });
}

/** Replaces parts of a run. */
export function patchRun(turn: Turn, id: string, patch: Partial<RunProgress>): void {
  putRun(turn, { ...must(turn.state.runs.get(id), `run ${id}`), ...patch });
}

/** Adds a run at the end, or replaces it where it is. */
export function putRun(turn: Turn, run: RunProgress): void {
  patchState(turn, { runs: new Map(turn.state.runs).set(run.id, run) });
}

/** Forgets a run. */
export function removeRun(turn: Turn, id: string): void {
  const runs = new Map(turn.state.runs);
  runs.delete(id);
  patchState(turn, { runs });
}

/** Replaces parts of a stage. */
export function patchStage(turn: Turn, runId: string, index: number, patch: Partial<StageProgress>): void {
  const run = must(turn.state.runs.get(runId), `run ${runId}`);
  const stages = run.stages.slice();
  stages[index] = { ...must(stages[index], `stage ${index}`), ...patch };
  putRun(turn, { ...run, stages });
}

/** The shard at a place. */
export function shardAt(run: RunProgress, place: ShardPlace): ShardState {
  return must(run.stages[place.stage], `stage ${place.stage}`).shards.at(place.shard);
}

/** Replaces parts of a shard, keeping the stage's counts and failures right. */
export function patchShard(turn: Turn, runId: string, place: ShardPlace, patch: Partial<ShardState>): void {
  const run = must(turn.state.runs.get(runId), `run ${runId}`);
  const stage = must(run.stages[place.stage], `stage ${place.stage}`);
  const before = stage.shards.at(place.shard);
  const after = { ...before, ...patch };
  const shards = stage.shards.with(place.shard, after);
  const failures = stage.failures + failedAttempts(after) - failedAttempts(before);
  patchStage(turn, runId, place.stage, { shards, counts: shards.counts, failures });
}
