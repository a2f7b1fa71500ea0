/** @file What a failure costs: its class, its budget, and what becomes of the shard and the worker. */
import { must } from "../base/assert.js";
import type { ErrorCode } from "../base/errors.js";
import type { FailureClass, HeldLease, ShardPlace } from "./state.js";
import { patchShard, patchWorker, shardAt, type Turn } from "./turn.js";

const CLASS_OF: Readonly<Partial<Record<ErrorCode, FailureClass>>> = {
  worker_lost: "lost",
  engine_died: "lost",
  engine_stalled: "lost",
  coordinator_unreachable: "lost",
  nats_unreachable: "lost",
  hub_unreachable: "lost",
  disk_full: "lost",
  out_of_memory: "memory",
};

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
 * A shard that failed by its own fault, or for want of memory, goes to another worker if there is one.
 */
export function failShard(turn: Turn, { run: runId, place, shardId, worker, code, message }: FailedAttempt): void {
  const shard = shardAt(must(turn.state.runs.get(runId), `run ${runId}`), place);
  const kind = failureClass(code);
  const spent = { ...shard.spent, [kind]: shard.spent[kind] + 1 };
  const quarantined = spent[kind] > turn.state.settings.budgets[kind];
  patchShard(turn, runId, place, {
    phase: quarantined ? "quarantined" : "pending",
    spent,
    avoid: kind === "lost" || shard.avoid.includes(worker) ? shard.avoid : [...shard.avoid, worker],
    holder: null,
    failure: { code, message: `${message} (attempt ${String(shard.attempts)}, on worker ${worker})` },
  });
  const outcome = quarantined ? "quarantined" : "will be retried";
  turn.effects.push({
    kind: "log",
    level: "warning",
    text: `${shardId} failed on ${worker} and ${outcome}: ${code}: ${message}`,
  });
  if (quarantined) turn.effects.push({ kind: "quarantined", run: runId, shard: shardId, code, message });
}

/** Books a failure against its worker; three different shards in a row cordon it. */
export function blameWorker(turn: Turn, name: string, shardId: string): void {
  const worker = must(turn.state.workers.get(name), `worker ${name}`);
  if (worker.failedInARow.includes(shardId)) return;
  const failedInARow = [...worker.failedInARow, shardId];
  const cordoned = failedInARow.length >= turn.state.settings.cordonAfter;
  patchWorker(turn, name, { failedInARow, cordoned });
  if (cordoned && !worker.cordoned) {
    const text = `worker ${name} is cordoned: it failed ${failedInARow.join(", ")} in a row`;
    turn.effects.push({ kind: "log", level: "warning", text });
  }
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
