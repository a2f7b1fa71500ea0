/**
 * @file The coordinator's core: a pure function from a state, an event and the time to a state and effects.
 *
 * 1. The event's own rule changes the state.
 * 2. Stages and runs move on as far as they can.
 * 3. Free workers get leases; leaving ones that hold nothing may go.
 */
import { isFinal } from "../wire/messages.js";
import type { CoordinatorEffect, CoordinatorEvent } from "./events.js";
import { onCompleted, onFailed, onRejected, onReleased, onVerified } from "./results.js";
import { addRun, warn } from "./runs.js";
import { schedule } from "./schedule.js";
import { advance, finishRun } from "./stages.js";
import type { CoordinatorState } from "./state.js";
import { patchStage, patchState, type Turn } from "./turn.js";
import { dismiss, onAttached, onDetached, onDraining, onHeartbeat, onTick } from "./workers.js";

/** The state after an event, and what has to be done about it, in order. `now` must never go back. */
export function step(
  state: CoordinatorState,
  event: CoordinatorEvent,
  now: number,
): { readonly state: CoordinatorState; readonly effects: readonly CoordinatorEffect[] } {
  const turn: Turn = { state, effects: [], now };
  apply(turn, event);
  advance(turn);
  schedule(turn);
  dismiss(turn);
  return { state: turn.state, effects: turn.effects };
}

function apply(turn: Turn, event: CoordinatorEvent): void {
  switch (event.kind) {
    case "runAdded":
      addRun(turn, event.run);
      return;
    case "workerAttached":
      onAttached(turn, event);
      return;
    case "workerDetached":
      onDetached(turn, event);
      return;
    case "workerDraining":
      onDraining(turn, event);
      return;
    case "heartbeat":
      onHeartbeat(turn, event);
      return;
    case "shardCompleted":
      onCompleted(turn, event);
      return;
    case "shardFailed":
      onFailed(turn, event);
      return;
    case "leaseReleased":
      onReleased(turn, event);
      return;
    case "recordVerified":
      onVerified(turn, event);
      return;
    case "recordRejected":
      onRejected(turn, event);
      return;
    case "stageReduced":
      settleStage(turn, event.run, event.stage, { warnings: event.warnings ?? [] });
      return;
    case "reduceFailed":
      settleStage(turn, event.run, event.stage, { failure: `${event.code}: ${event.message}` });
      return;
    case "cancel":
      cancel(turn, event.run);
      return;
    case "drain":
      drain(turn, event.now);
      return;
    case "tick":
      onTick(turn);
      return;
  }
}

function settleStage(
  turn: Turn,
  runId: string,
  stageId: string,
  outcome: { readonly warnings: readonly string[] } | { readonly failure: string },
): void {
  const run = turn.state.runs.get(runId);
  const index = run?.stages.findIndex(({ id }) => id === stageId) ?? -1;
  const stage = run?.stages[index];
  if (run?.state !== "running" || stage?.state !== "reducing") return;
  if ("failure" in outcome) {
    patchStage(turn, runId, index, { state: "failed", reason: outcome.failure });
    return;
  }
  for (const text of outcome.warnings) warn(turn, runId, text);
  patchStage(turn, runId, index, { state: "reduced" });
}

function cancel(turn: Turn, runId: string): void {
  const state = turn.state.runs.get(runId)?.state;
  if (state !== undefined && !isFinal(state)) finishRun(turn, runId, "cancelled", "cancelled by a client");
}

function drain(turn: Turn, now: boolean): void {
  patchState(turn, { draining: true });
  for (const run of turn.state.runs.values()) {
    if (run.state === "queued" || (now && run.state === "running"))
      finishRun(turn, run.id, "interrupted", "the coordinator was asked to stop");
  }
}
