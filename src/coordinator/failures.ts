/** @file What a failure costs: its class, its budget, and what becomes of the shard and the worker. */
import type { ShardPlace } from "../plan/stage-shards.js";
import { must } from "../base/assert.js";
import type { ErrorCode } from "../base/errors.js";
import { eligibleWorkers } from "./eligibility.js";
import type { FailureClass } from "./shard.js";
import type { HeldLease, RunProgress } from "./state.js";
import { patchShard, patchWorker, shardAt, type Turn } from "./turn.js";

const CLASS_OF: Readonly<Partial<Record<ErrorCode, FailureClass>>> = {
  worker_lost: "lost",
  engine_died: "lost",
  engine_start_failed: "lost",
  engine_stalled: "lost",
  coordinator_unreachable: "lost",
  nats_unreachable: "lost",
  hub_unreachable: "lost",
  disk_full: "lost",
  damaged_artifact: "lost",
  out_of_memory: "memory",
};

/** The run log is away from this worker, or from everybody. */
const LOG_FAULTS: ReadonlySet<ErrorCode> = new Set(["nats_unreachable", "coordinator_unreachable"]);
/** Nothing that a shard could cause. */
const WORKER_FAULTS: ReadonlySet<ErrorCode> = new Set([
  ...LOG_FAULTS,
  "engine_start_failed",
  "disk_full",
  "hub_unreachable",
]);
/** Workers wait for the log for a minute. A record read back since then shows that the log was there. */
const LOG_SEEN_MS = 50_000;

/** The class of an error code; what is not the machine's fault is the shard's. */
export function failureClass(code: ErrorCode): FailureClass {
  return CLASS_OF[code] ?? "application";
}

/** One failed attempt. */
export interface FailedAttempt {
  readonly run: string;
  readonly place: ShardPlace;
  readonly shardId: string;
  readonly worker: string;
  readonly code: ErrorCode;
  readonly message: string;
}

/**
 * Books a failed attempt: the shard goes back to the queue, or to quarantine once its budget for that class is spent.
 * It goes to another worker if there is one.
 */
export function failShard(turn: Turn, attempt: FailedAttempt): void {
  const { run: runId, place, shardId, worker, code, message } = attempt;
  const run = must(turn.state.runs.get(runId), `run ${runId}`);
  const shard = shardAt(run, place);
  const kind = failureClass(code);
  const spent = isCharged(turn, run, attempt) ? { ...shard.spent, [kind]: shard.spent[kind] + 1 } : shard.spent;
  const quarantined = spent[kind] > turn.state.settings.budgets[kind];
  patchShard(turn, runId, place, {
    phase: quarantined ? "quarantined" : "pending",
    spent,
    avoid: shard.avoid.includes(worker) ? shard.avoid : [...shard.avoid, worker],
    holder: null,
    failure: { code, message: `${message} (attempt ${shard.attempts}, on worker ${worker})` },
  });
  const outcome = quarantined ? "quarantined" : "will be retried";
  turn.effects.push({
    kind: "log",
    level: "warning",
    text: `${shardId} failed on ${worker} and ${outcome}: ${code}: ${message}`,
  });
  if (quarantined) turn.effects.push({ kind: "quarantined", run: runId, shard: shardId, code, message });
}

/**
 * A worker's own fault costs the shard nothing while a sound worker is there. With none, failures are counted, so that a run
 * whose last worker cannot compute ends; but a log that is away is waited for.
 */
function isCharged({ state }: Turn, run: RunProgress, { worker, code }: FailedAttempt): boolean {
  if (!WORKER_FAULTS.has(code)) return true;
  if (LOG_FAULTS.has(code)) return false;
  return !eligibleWorkers(state, run).some(({ name, cordoned }) => name !== worker && cordoned === null);
}

/**
 * Books a failure against its worker. Three in a row cordon it, where a shard counts once unless the fault is the worker's.
 * A log that is away is a worker's fault only if others reach it.
 */
export function blameWorker(turn: Turn, { worker: name, shardId, code, message }: FailedAttempt): void {
  const worker = must(turn.state.workers.get(name), `worker ${name}`);
  if (LOG_FAULTS.has(code) && !isLogSeen(turn)) return;
  if (!WORKER_FAULTS.has(code) && worker.failedInARow.includes(shardId)) return;
  const failedInARow = [...worker.failedInARow, shardId];
  patchWorker(turn, name, { failedInARow });
  if (failedInARow.length < turn.state.settings.cordonAfter || worker.cordoned !== null) return;
  const shards = [...new Set(failedInARow)].join(", ");
  const cordoned = `it failed ${failedInARow.length} times in a row (${shards}), the last time ${code}: ${message}`;
  patchWorker(turn, name, { cordoned });
  turn.effects.push({ kind: "log", level: "warning", text: `worker ${name} is cordoned: ${cordoned}` });
}

function isLogSeen({ state: { lastVerifiedAt }, now }: Turn): boolean {
  return lastVerifiedAt !== null && now - lastVerifiedAt < LOG_SEEN_MS;
}

/** Takes a lease out of its worker's list. Returns it, or undefined when the worker does not hold it. */
export function takeLease(turn: Turn, name: string, lease: string): HeldLease | undefined {
  const worker = turn.state.workers.get(name);
  const held = worker?.leases.find(({ id }) => id === lease);
  if (worker === undefined || held === undefined) return undefined;
  patchWorker(turn, name, { leases: worker.leases.filter(({ id }) => id !== lease) });
  return held;
}

/** Ends a lease because its worker is lost or never answered: the shard is booked a loss. */
export function loseLease(turn: Turn, name: string, lease: HeldLease, message: string): void {
  takeLease(turn, name, lease.id);
  failShard(turn, { run: lease.run, place: lease, shardId: lease.shardId, worker: name, code: "worker_lost", message });
}

/** Ends a lease that was never begun, at no cost: the shard goes back to the queue, and the attempt does not count. */
export function returnLease(turn: Turn, name: string, lease: HeldLease): void {
  takeLease(turn, name, lease.id);
  patchShard(turn, lease.run, lease, { phase: "pending", holder: null, attempts: lease.attempt - 1 });
}
