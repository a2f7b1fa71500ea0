/** @file Keeps the coordinator's state: feeds events to `step` one at a time, and hands out the effects. */
import { performance } from "node:perf_hooks";
import type { CoordinatorEffect, CoordinatorEvent } from "./events.js";
import type { CoordinatorState } from "./state.js";
import { step } from "./step.js";

/** How often the state machine looks at the clock, in milliseconds. */
const TICK_MS = 200;

/** The state machine with a clock. */
export interface Driver {
  state(): CoordinatorState;
  /** Milliseconds of the clock that the state's times belong to. */
  now(): number;
  /** Handles the event, or queues it when one is being handled. */
  dispatch(event: CoordinatorEvent): void;
  /** Calls back after every event but ticks. @returns how to stop that. */
  onChange(callback: () => void): () => void;
  stop(): void;
}

/** Starts a driver. `perform` must not throw. */
export function startDriver(initial: CoordinatorState, perform: (effect: CoordinatorEffect) => void): Driver {
  let state = initial;
  let busy = false;
  const queue: CoordinatorEvent[] = [];
  const listeners = new Set<() => void>();
  const now = (): number => performance.now();

  const dispatch = (event: CoordinatorEvent): void => {
    queue.push(event);
    if (busy) return;
    busy = true;
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const turn = step(state, next, now());
      state = turn.state;
      turn.effects.forEach(perform);
      if (next.kind !== "tick" || turn.effects.length > 0) for (const listener of listeners) listener();
    }
    busy = false;
  };

  // After a pause of this process, what has arrived meanwhile is read before the clock.
  const timer = setInterval(() => {
    setImmediate(() => {
      dispatch({ kind: "tick" });
    });
  }, TICK_MS);
  return {
    state: () => state,
    now,
    dispatch,
    onChange: (callback) => {
      listeners.add(callback);
      return () => {
        listeners.delete(callback);
      };
    },
    stop: () => {
      clearInterval(timer);
    },
  };
}
