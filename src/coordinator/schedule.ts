/**
 * @file Who gets which shard: the active run's open stages in order, shards in order.
 *
 * 1. Round by round, every eligible worker that holds fewer leases than the round's number gets the next shard, so that nobody
 *    has a second lease while somebody has none.
 * 2. A shard avoids the workers on which it failed, as long as another eligible worker exists.
 * 3. For a worker that is idle after that, a lease that waits in front of a busy engine is asked back.
 */
import { must } from "../base/assert.js";
import { completeEnvironment } from "../base/environment.js";
import { shardId, type ShardPlace } from "../plan/stage-shards.js";
import type { Lease } from "../wire/messages.js";
import { eligibleWorkers } from "./eligibility.js";
import { activeRun, type RunProgress, type StageProgress, type WorkerProgress } from "./state.js";
import { patchRun, patchShard, patchStage, patchState, patchWorker, shardAt, type Turn } from "./turn.js";

/** Grants every lease that can be granted now. */
export function schedule(turn: Turn): void {
  const run = activeRun(turn.state);
  const { pipelineDepth } = turn.state.settings;
  if (run === undefined || turn.state.draining) return;
  if (![...turn.state.workers.values()].some(({ leases }) => leases.length < pipelineDepth)) return;
  fixEnvironment(turn, run);
  const names = eligibleWorkers(turn.state, currentRun(turn, run.id)).map(({ name }) => name);
  for (let round = 0; round < pipelineDepth; round++) grantRound(turn, run.id, names, round);
  recallForIdle(turn, run.id, names);
}

/** Before the first lease of a run several environments may be eligible; the first worker decides. */
function fixEnvironment(turn: Turn, run: RunProgress): void {
  const [first] = eligibleWorkers(turn.state, run);
  if (first === undefined || !hasPending(run)) return;
  const environment = completeEnvironment(run.environment, first.environment);
  if (environmentSize(environment) > environmentSize(run.environment)) patchRun(turn, run.id, { environment });
}

function environmentSize(environment: RunProgress["environment"]): number {
  return Object.keys(environment).length;
}

function grantRound(turn: Turn, runId: string, names: readonly string[], round: number): void {
  for (const name of names) {
    const run = currentRun(turn, runId);
    if (!hasPending(run)) return;
    const worker = must(turn.state.workers.get(name), `worker ${name}`);
    if (worker.leases.length > round) continue;
    const place = nextShard(run, worker, names);
    if (place !== undefined) grant(turn, run, worker, place);
  }
}

function currentRun(turn: Turn, id: string): RunProgress {
  return must(turn.state.runs.get(id), `run ${id}`);
}

function hasPending(run: RunProgress): boolean {
  return run.stages.some((stage) => stage.state === "open" && stage.counts.pending > 0);
}

function nextShard(run: RunProgress, worker: WorkerProgress, eligible: readonly string[]): ShardPlace | undefined {
  for (const [index, stage] of run.stages.entries()) {
    if (stage.state !== "open" || stage.counts.pending === 0) continue;
    const shard = nextInStage(stage, worker, eligible);
    if (shard !== undefined) return { stage: index, shard };
  }
  return undefined;
}

function nextInStage(stage: StageProgress, worker: WorkerProgress, eligible: readonly string[]): number | undefined {
  for (const index of stage.shards.indexesOf("pending")) {
    if (index >= stage.cursor) return index;
    const { avoid } = stage.shards.at(index);
    if (!avoid.includes(worker.name) || eligible.every((name) => avoid.includes(name))) return index;
  }
  return undefined;
}

function grant(turn: Turn, run: RunProgress, worker: WorkerProgress, place: ShardPlace): void {
  const { settings, epoch, nonce, nextLease } = turn.state;
  const stage = must(run.stages[place.stage], "stage");
  const shard = shardId(stage.id, place.shard);
  const attempt = shardAt(run, place).attempts + 1;
  const id = `${epoch}-${nonce}-${nextLease}`;
  const lease: Lease = { run: run.id, shard, attempt, id, epoch, durationMs: settings.leaseMs };

  patchState(turn, { nextLease: nextLease + 1 });
  if (place.shard >= stage.cursor) patchStage(turn, run.id, place.stage, { cursor: place.shard + 1 });
  if (stage.firstLeaseAt === null) patchStage(turn, run.id, place.stage, { firstLeaseAt: turn.now });
  patchShard(turn, run.id, place, { phase: "leased", attempts: attempt, holder: { worker: worker.name, lease: id } });
  const held = {
    ...place,
    id,
    run: run.id,
    shardId: shard,
    attempt,
    deadline: turn.now + settings.leaseMs,
    recalled: false,
  };
  patchWorker(turn, worker.name, { leases: [...worker.leases, held] });
  turn.effects.push({ kind: "grant", session: must(worker.session, `session of ${worker.name}`), lease });
}

function recallForIdle(turn: Turn, runId: string, names: readonly string[]): void {
  const run = currentRun(turn, runId);
  const workers = names.map((name) => must(turn.state.workers.get(name), `worker ${name}`));
  const asked = workers.flatMap(({ leases }) => leases.filter(({ recalled }) => recalled)).length;
  const idle = workers.filter(({ leases }) => leases.length === 0).slice(asked);
  for (const { name, leases, session } of workers) {
    const last = leases.at(-1);
    if (last === undefined || leases.length < 2 || last.recalled || session === null) continue;
    // Asking back what the idle worker would not get only sends the lease to and fro.
    const taker = idle.findIndex((one) => !shardAt(run, last).avoid.includes(one.name));
    if (taker < 0) continue;
    idle.splice(taker, 1);
    patchWorker(turn, name, { leases: [...leases.slice(0, -1), { ...last, recalled: true }] });
    turn.effects.push({ kind: "recall", session, lease: last.id });
  }
}
