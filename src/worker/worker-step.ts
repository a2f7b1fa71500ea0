/**
 * @file The worker's core: a pure function from a state, an event and the time to a state and effects.
 *
 * - The engine runs one lease at a time, in the order they came; the next starts as soon as the engine is free, while the
 *   finished one is stored and reported.
 * - An outcome is reported until the coordinator settles it, over any number of streams.
 * - A lost stream changes nothing about the work.
 */
import { PROTOCOL_VERSION } from "../wire/limits.js";
import type { FromCoordinator, FromWorker } from "../wire/messages.js";
import {
  REPEAT_MS,
  type Held,
  type HeldPhase,
  type WorkerEffect,
  type WorkerEvent,
  type WorkerMachine,
} from "./worker-state.js";

interface Turn {
  state: WorkerMachine;
  readonly effects: WorkerEffect[];
  readonly now: number;
}

/** The state after an event, and what has to be done about it, in order. */
export function stepWorker(
  state: WorkerMachine,
  event: WorkerEvent,
  now: number,
): { readonly state: WorkerMachine; readonly effects: readonly WorkerEffect[] } {
  const turn: Turn = { state, effects: [], now };
  if (state.left) return turn;
  apply(turn, event);
  runNext(turn);
  beat(turn);
  leaveIfDone(turn);
  return { state: turn.state, effects: turn.effects };
}

function apply(turn: Turn, event: WorkerEvent): void {
  switch (event.kind) {
    case "connected":
      patch(turn, { connected: true, welcomed: false });
      register(turn);
      return;
    case "disconnected":
      patch(turn, { connected: false, welcomed: false });
      return;
    case "message":
      onMessage(turn, event.message);
      return;
    case "computed":
      onComputed(turn, event.lease);
      return;
    case "stored":
      report(turn, event.lease, (lease) => ({ kind: "completed", lease, sha256: event.sha256 }));
      return;
    case "failed":
      report(turn, event.lease, (lease) => ({ kind: "failed", lease, failure: event.failure }));
      return;
    case "engine":
      patch(turn, { engine: event.engine });
      return;
    case "drain":
      drain(turn);
      return;
    case "tick":
      repeatReports(turn, REPEAT_MS);
      if (turn.state.draining && turn.now - turn.state.saidDrainingAt >= REPEAT_MS) sayDraining(turn);
      return;
  }
}

function onMessage(turn: Turn, message: FromCoordinator): void {
  switch (message.kind) {
    case "welcome":
      patch(turn, { welcomed: true, heartbeatMs: message.heartbeatMs, lastHeartbeatAt: -Infinity });
      repeatReports(turn, 0);
      if (turn.state.draining) sayDraining(turn);
      return;
    case "grant":
      if (find(turn, message.lease.id) !== undefined) return;
      patch(turn, { held: [...turn.state.held, { lease: message.lease, phase: { kind: "queued" } }] });
      if (turn.state.draining) release(turn, message.lease.id);
      return;
    case "revoke":
      revoke(turn, message.lease, message.stop, message.reason);
      return;
    case "recall":
      if (find(turn, message.lease)?.phase.kind === "queued") release(turn, message.lease);
      return;
    case "settled":
      forget(turn, message.leases);
      return;
    case "leave":
      leave(turn, message.reason);
      return;
    case "runOpened":
      return;
  }
}

function register(turn: Turn): void {
  const holding = turn.state.held.map(({ lease }) => lease);
  send(turn, { kind: "register", protocol: PROTOCOL_VERSION, ...turn.state.identity, holding });
}

function onComputed(turn: Turn, id: string): void {
  const held = find(turn, id);
  if (held?.phase.kind !== "running") return;
  setPhase(turn, id, { kind: "storing" });
  turn.effects.push({ kind: "store", lease: held.lease });
}

function report(turn: Turn, id: string, write: (lease: Held["lease"]) => FromWorker): void {
  const held = find(turn, id);
  if (held === undefined || held.phase.kind === "reported") return;
  const message = write(held.lease);
  setPhase(turn, id, { kind: "reported", message, sentAt: turn.now });
  send(turn, message);
}

function repeatReports(turn: Turn, olderThanMs: number): void {
  if (!turn.state.welcomed) return;
  for (const { lease, phase } of turn.state.held) {
    if (phase.kind !== "reported" || turn.now - phase.sentAt < olderThanMs) continue;
    setPhase(turn, lease.id, { ...phase, sentAt: turn.now });
    send(turn, phase.message);
  }
}

/** A lease that has begun is stopped only on request; otherwise it ends and is reported, which costs nobody anything. */
function revoke(turn: Turn, id: string, stop: boolean, reason: string): void {
  const held = find(turn, id);
  if (held === undefined) return;
  const { kind } = held.phase;
  if (kind === "queued" || (stop && kind !== "storing")) drop(turn, id);
  if (kind === "running" && stop) turn.effects.push({ kind: "stop", lease: held.lease, reason });
}

function release(turn: Turn, id: string): void {
  drop(turn, id);
  send(turn, { kind: "released", lease: id });
}

function drain(turn: Turn): void {
  if (turn.state.draining) return;
  patch(turn, { draining: true });
  sayDraining(turn);
  for (const { lease, phase } of turn.state.held) if (phase.kind === "queued") release(turn, lease.id);
}

function sayDraining(turn: Turn): void {
  patch(turn, { saidDrainingAt: turn.now });
  send(turn, { kind: "draining" });
}

function runNext(turn: Turn): void {
  if (turn.state.held.some(({ phase }) => phase.kind === "running")) return;
  const next = turn.state.held.find(({ phase }) => phase.kind === "queued");
  if (next === undefined) return;
  setPhase(turn, next.lease.id, { kind: "running" });
  turn.effects.push({ kind: "run", lease: next.lease });
}

function beat(turn: Turn): void {
  const { welcomed, lastHeartbeatAt, heartbeatMs, held, engine } = turn.state;
  if (!welcomed || turn.now - lastHeartbeatAt < heartbeatMs) return;
  patch(turn, { lastHeartbeatAt: turn.now });
  const leases = held.filter(({ phase }) => phase.kind !== "reported").map(({ lease }) => lease.id);
  send(turn, { kind: "heartbeat", leases, engine });
}

/**
 * A draining worker goes when the coordinator lets it, so that no grant crosses its goodbye. Without a coordinator it goes when
 * its work is stored: the next one finds the records in the log.
 */
function leaveIfDone(turn: Turn): void {
  const { draining, connected, held } = turn.state;
  if (draining && !connected && held.every(({ phase }) => phase.kind === "reported")) leave(turn, "drained");
}

function leave(turn: Turn, reason: string): void {
  if (turn.state.left) return;
  patch(turn, { left: true });
  turn.effects.push({ kind: "leave", reason });
}

function find(turn: Turn, id: string): Held | undefined {
  return turn.state.held.find(({ lease }) => lease.id === id);
}

function drop(turn: Turn, id: string): void {
  patch(turn, { held: turn.state.held.filter(({ lease }) => lease.id !== id) });
}

function forget(turn: Turn, ids: readonly string[]): void {
  const kept = turn.state.held.filter(({ lease, phase }) => phase.kind !== "reported" || !ids.includes(lease.id));
  patch(turn, { held: kept });
}

function setPhase(turn: Turn, id: string, phase: HeldPhase): void {
  patch(turn, { held: turn.state.held.map((held) => (held.lease.id === id ? { ...held, phase } : held)) });
}

function send(turn: Turn, message: FromWorker): void {
  if (turn.state.connected) turn.effects.push({ kind: "send", message });
}

function patch(turn: Turn, part: Partial<WorkerMachine>): void {
  turn.state = { ...turn.state, ...part };
}
