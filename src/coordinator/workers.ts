/**
 * @file Workers that come, speak, fall silent and leave.
 *
 * - A worker that comes back within `reattachMs` keeps the leases it still names; what it was sent and never got is returned.
 * - A new process under an old name, a longer absence, or silence cost the shards it held one "lost" each.
 * - A new coordinator adopts the leases workers bring along, as far as their shards are not taken.
 */
import { placeOf } from "../plan/stage-shards.js";
import { must } from "../base/assert.js";
import { completeEnvironment } from "../base/environment.js";
import type { Lease } from "../wire/messages.js";
import { obstacle } from "./eligibility.js";
import type { EventOf } from "./events.js";
import { loseLease, returnLease } from "./failures.js";
import type { HeldLease, WorkerProgress } from "./state.js";
import { patchRun, patchShard, patchState, patchWorker, putWorker, removeWorker, shardAt, type Turn } from "./turn.js";

/** The clock is looked at several times a second; a longer gap is the coordinator's own silence. */
const OWN_SILENCE_MS = 1000;

/** A worker registers on a new stream. */
export function onAttached(turn: Turn, { worker: name, session, registration }: EventOf<"workerAttached">): void {
  const before = turn.state.workers.get(name);
  const sameProcess = before?.instance === registration.instance;
  if (before !== undefined && before.session !== null && before.session !== session && !sameProcess) {
    turn.effects.push({ kind: "close", session, reason: `another worker named ${name} is attached` });
    return;
  }
  if (before !== undefined && !sameProcess) loseAll(turn, before, "the worker's process was replaced");
  if (before !== undefined && before.session !== null && before.session !== session) {
    turn.effects.push({ kind: "close", session: before.session, reason: "the worker attached again" });
  }
  putWorker(turn, {
    name,
    instance: registration.instance,
    session,
    environment: registration.environment,
    lastHeardAt: turn.now,
    detachedAt: null,
    draining: false,
    dismissed: false,
    cordoned: sameProcess ? before.cordoned : null,
    failedInARow: sameProcess ? before.failedInARow : [],
    leases: turn.state.workers.get(name)?.leases ?? [],
    engine: null,
    completed: before?.completed ?? 0,
    memoryMib: registration.memoryMib,
  });
  turn.effects.push({ kind: "welcome", session });
  returnUndelivered(turn, name, registration.holding);
  for (const lease of registration.holding) keepOrRevoke(turn, name, session, lease);
}

function returnUndelivered(turn: Turn, name: string, holding: readonly Lease[]): void {
  for (const lease of workerNamed(turn, name).leases) {
    if (!holding.some(({ id }) => id === lease.id)) returnLease(turn, name, lease);
  }
}

function keepOrRevoke(turn: Turn, name: string, session: string, lease: Lease): void {
  const worker = workerNamed(turn, name);
  if (worker.leases.some(({ id }) => id === lease.id)) {
    renew(turn, name, [lease.id]);
    return;
  }
  if (adopt(turn, worker, lease)) return;
  const stop = turn.state.runs.get(lease.run)?.state !== "running";
  const reason = stop ? "the run is not on" : "the shard is not waiting for this worker any more";
  turn.effects.push({ kind: "revoke", session, lease: lease.id, stop, reason });
}

/** Takes over a lease of an earlier coordinator, if its shard is free and the worker may serve the run. */
function adopt(turn: Turn, worker: WorkerProgress, lease: Lease): boolean {
  const run = turn.state.runs.get(lease.run);
  const place = run === undefined ? undefined : placeOf(run, lease.shard);
  if (run?.state !== "running" || place === undefined || obstacle(turn.state, run, worker) !== null) return false;
  const shard = shardAt(run, place);
  if (shard.phase !== "pending" || run.stages[place.stage]?.state !== "open") return false;
  const held: HeldLease = {
    ...place,
    id: lease.id,
    run: run.id,
    shardId: lease.shard,
    attempt: lease.attempt,
    deadline: turn.now + turn.state.settings.leaseMs,
    recalled: false,
  };
  patchRun(turn, run.id, { environment: completeEnvironment(run.environment, worker.environment) });
  patchShard(turn, run.id, place, {
    phase: "leased",
    attempts: Math.max(shard.attempts, lease.attempt),
    holder: { worker: worker.name, lease: lease.id },
  });
  patchWorker(turn, worker.name, { leases: [...worker.leases, held] });
  return true;
}

/** A worker's stream ended. It has `reattachMs` to come back, unless it said that it leaves. */
export function onDetached(turn: Turn, { worker: name, session }: EventOf<"workerDetached">): void {
  const worker = turn.state.workers.get(name);
  if (worker?.session !== session) return;
  patchWorker(turn, name, { session: null, detachedAt: turn.now, engine: null });
  if (worker.draining) forget(turn, name, "the worker left");
}

/** A worker takes no more leases. */
export function onDraining(turn: Turn, { worker: name, session }: EventOf<"workerDraining">): void {
  if (turn.state.workers.get(name)?.session === session) patchWorker(turn, name, { draining: true, dismissed: false });
}

/** Lets the leaving workers go that hold nothing any more. */
export function dismiss(turn: Turn): void {
  for (const { name, session, draining, dismissed, leases } of turn.state.workers.values()) {
    if (!draining || dismissed || session === null || leases.length > 0) continue;
    patchWorker(turn, name, { dismissed: true });
    turn.effects.push({ kind: "leave", session, reason: "drained" });
  }
}

/** A sign of life; renews the leases it names and revokes those that are not the worker's. */
export function onHeartbeat(turn: Turn, { worker: name, session, leases, engine }: EventOf<"heartbeat">): void {
  const worker = turn.state.workers.get(name);
  if (worker?.session !== session) {
    turn.effects.push({ kind: "close", session, reason: "the coordinator gave this worker up" });
    return;
  }
  patchWorker(turn, name, { lastHeardAt: turn.now, engine });
  renew(turn, name, leases);
  for (const lease of leases) {
    if (worker.leases.some(({ id }) => id === lease)) continue;
    const stop = ![...turn.state.runs.values()].some(({ state }) => state === "running");
    turn.effects.push({ kind: "revoke", session, lease, stop, reason: "the lease is void" });
  }
}

function renew(turn: Turn, name: string, ids: readonly string[]): void {
  const deadline = turn.now + turn.state.settings.leaseMs;
  const { leases } = workerNamed(turn, name);
  patchWorker(turn, name, { leases: leases.map((held) => (ids.includes(held.id) ? { ...held, deadline } : held)) });
}

/** Looks at the clock: silent workers, absent workers and void leases. */
export function onTick(turn: Turn): void {
  const { workerTimeoutMs, reattachMs } = turn.state.settings;
  excuseOwnSilence(turn);
  for (const worker of turn.state.workers.values()) {
    if (worker.detachedAt !== null && turn.now - worker.detachedAt >= reattachMs) {
      forget(turn, worker.name, "the worker's stream ended and it did not come back");
    } else if (worker.session !== null && turn.now - worker.lastHeardAt >= workerTimeoutMs) {
      const reason = `no heartbeat for ${Math.round((turn.now - worker.lastHeardAt) / 1000)} s`;
      turn.effects.push({ kind: "close", session: worker.session, reason });
      forget(turn, worker.name, reason);
    } else {
      loseOverdue(turn, worker);
    }
  }
}

/**
 * A coordinator that stood still (stopped, or busy with something else) has not listened: that time counts for nobody. What
 * arrived meanwhile is read after this look at the clock, or before.
 */
function excuseOwnSilence(turn: Turn): void {
  const { lastTickAt, workers } = turn.state;
  patchState(turn, { lastTickAt: turn.now });
  const silence = lastTickAt === null ? 0 : turn.now - lastTickAt;
  if (silence < OWN_SILENCE_MS) return;
  const text = `the coordinator stood still for ${(silence / 1000).toFixed(1)} s; nobody is held to account for that time`;
  turn.effects.push({ kind: "log", level: "warning", text });
  const later = (time: number): number => Math.min(turn.now, time + silence);
  for (const { name, lastHeardAt, detachedAt, leases } of workers.values()) {
    patchWorker(turn, name, {
      lastHeardAt: later(lastHeardAt),
      detachedAt: detachedAt === null ? null : later(detachedAt),
      leases: leases.map((lease) => ({ ...lease, deadline: lease.deadline + silence })),
    });
  }
}

function loseOverdue(turn: Turn, worker: WorkerProgress): void {
  for (const lease of worker.leases.filter(({ deadline }) => deadline <= turn.now)) {
    loseLease(turn, worker.name, lease, "the lease ran out and the worker did not name it in its heartbeats");
    if (worker.session === null) continue;
    turn.effects.push({
      kind: "revoke",
      session: worker.session,
      lease: lease.id,
      stop: false,
      reason: "the lease ran out",
    });
  }
}

function loseAll(turn: Turn, worker: WorkerProgress, reason: string): void {
  for (const lease of worker.leases) loseLease(turn, worker.name, lease, reason);
}

function forget(turn: Turn, name: string, reason: string): void {
  const worker = workerNamed(turn, name);
  loseAll(turn, worker, reason);
  removeWorker(turn, name);
  turn.effects.push({
    kind: "log",
    level: worker.draining ? "note" : "warning",
    text: `worker ${name} is gone: ${reason}`,
  });
}

function workerNamed(turn: Turn, name: string): WorkerProgress {
  return must(turn.state.workers.get(name), `worker ${name}`);
}
