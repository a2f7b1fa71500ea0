/** @file What workers report about leases, and what the check of a record says. */
import { placeOf, type ShardPlace } from "../plan/stage-shards.js";
import { must } from "../base/assert.js";
import { blameWorker, failShard, returnLease, takeLease } from "./failures.js";
import type { EventOf, Report } from "./events.js";
import { countRecord, warn } from "./runs.js";
import type { RunProgress } from "./state.js";
import { patchShard, patchState, patchWorker, shardAt, type Turn } from "./turn.js";

/** A worker says that a record is in the log. Whoever holds the shard now, the record is looked at. */
export function onCompleted(turn: Turn, { worker, lease, sha256 }: EventOf<"shardCompleted">): void {
  takeLease(turn, worker, lease.id);
  const found = findShard(turn, lease.run, lease.shard);
  if (found === undefined) {
    settle(turn, worker, lease.id);
    return;
  }
  freeShard(turn, found, lease.id);
  const report: Report = { worker, lease: lease.id, shard: lease.shard, sha256 };
  turn.effects.push({ kind: "verify", run: lease.run, report });
}

/** Takes an unfinished shard out of the queue for its record's sake; whoever else holds it need not begin. */
function freeShard(turn: Turn, { run, place }: Found, reported: string): void {
  const { phase, holder } = shardAt(run, place);
  if (phase === "done" || phase === "reported") return;
  // A stage that went on without the shard does not take it back.
  if (phase === "quarantined" && !["open", "blocked"].includes(must(run.stages[place.stage], "stage").state)) return;
  if (holder !== null && holder.lease !== reported) {
    takeLease(turn, holder.worker, holder.lease);
    const session = turn.state.workers.get(holder.worker)?.session ?? null;
    const reason = "another worker has finished the shard";
    if (session !== null) turn.effects.push({ kind: "revoke", session, lease: holder.lease, stop: false, reason });
  }
  patchShard(turn, run.id, place, { phase: "reported", holder: null });
}

/** The record is sound: the shard is done, or was done before and both attempts are compared. */
export function onVerified(turn: Turn, { run: runId, report, record }: EventOf<"recordVerified">): void {
  settle(turn, report.worker, report.lease);
  patchState(turn, { lastVerifiedAt: turn.now });
  const found = findShard(turn, runId, report.shard);
  if (found === undefined) return;
  if (record.sha256 !== report.sha256) reportNondeterminism(turn, runId, report, record.sha256);
  creditWorker(turn, report.worker);
  freeShard(turn, found, report.lease);
  const run = must(turn.state.runs.get(runId), `run ${runId}`);
  if (shardAt(run, found.place).phase !== "reported") return;
  patchShard(turn, runId, found.place, { phase: "done", holder: null, failure: null });
  countRecord(turn, runId, found.place.stage, record);
}

function reportNondeterminism(turn: Turn, run: string, { shard, worker, sha256 }: Report, stored: string): void {
  const message =
    `${shard}: two attempts gave different bytes; the record has ${stored.slice(0, 12)}, ` +
    `the attempt on ${worker} gave ${sha256.slice(0, 12)}. The first is kept; results of this environment are not reproducible`;
  warn(turn, run, message);
  turn.effects.push({ kind: "nondeterminism", run, shard, message });
}

/** The record is missing or damaged: the attempt has failed. */
export function onRejected(turn: Turn, { run: runId, report, code, message }: EventOf<"recordRejected">): void {
  settle(turn, report.worker, report.lease);
  const found = findShard(turn, runId, report.shard);
  if (found === undefined || shardAt(found.run, found.place).phase !== "reported") return;
  const attempt = { run: runId, place: found.place, shardId: report.shard, worker: report.worker, code, message };
  failShard(turn, attempt);
  if (turn.state.workers.has(report.worker)) blameWorker(turn, attempt);
}

/** An attempt failed on its worker. Only the current lease of a shard counts. */
export function onFailed(turn: Turn, { worker, lease, failure }: EventOf<"shardFailed">): void {
  settle(turn, worker, lease.id);
  const held = takeLease(turn, worker, lease.id);
  const found = findShard(turn, lease.run, lease.shard);
  if (held === undefined || found === undefined) return;
  if (shardAt(found.run, found.place).holder?.lease !== lease.id) return;
  const { code, message } = failure;
  const attempt = { run: lease.run, place: found.place, shardId: lease.shard, worker, code, message };
  failShard(turn, attempt);
  blameWorker(turn, attempt);
}

/** A worker gives back a lease it has not begun. */
export function onReleased(turn: Turn, { worker, lease }: EventOf<"leaseReleased">): void {
  const held = turn.state.workers.get(worker)?.leases.find(({ id }) => id === lease);
  if (held !== undefined) returnLease(turn, worker, held);
}

interface Found {
  readonly run: RunProgress;
  readonly place: ShardPlace;
}

/** The shard of a run that has not ended. */
function findShard(turn: Turn, runId: string, shardId: string): Found | undefined {
  const run = turn.state.runs.get(runId);
  const place = run === undefined ? undefined : placeOf(run, shardId);
  return run?.state === "running" && place !== undefined ? { run, place } : undefined;
}

function creditWorker(turn: Turn, name: string): void {
  const worker = turn.state.workers.get(name);
  if (worker === undefined) return;
  // A cordoned worker was given work because nobody else was there; that it did it shows that it is sound.
  patchWorker(turn, name, { completed: worker.completed + 1, failedInARow: [], cordoned: null });
}

function settle(turn: Turn, worker: string, lease: string): void {
  const session = turn.state.workers.get(worker)?.session ?? null;
  if (session !== null) turn.effects.push({ kind: "settled", session, lease });
}
