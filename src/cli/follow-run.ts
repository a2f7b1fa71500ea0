/** @file Follows a run through its coordinator's `Watch` stream, across restarts of the coordinator. */
import { setTimeout as delay } from "node:timers/promises";
import { type PatchbayError, toPatchbayError } from "../base/errors.js";
import { connectCluster } from "../wire/cluster-client.js";
import type { RunStatus } from "../wire/messages.js";

const RECONNECT_MS = 500;

/** How a run is followed. */
export interface FollowOptions {
  /** Ends the following. */
  readonly signal?: AbortSignal;
  /** How long the coordinator may be away. */
  readonly patienceMs: number;
  /** Told once each time the coordinator goes away. Where it is given, a run that its coordinator interrupted is waited for. */
  readonly onAway?: () => void;
}

/**
 * Calls `onStatus` with every status of the run, until it is final or `signal` fires.
 * @returns the last status; undefined when there was none.
 * @throws what the coordinator answers, unless it is only away for `patienceMs`.
 */
export async function followRun(
  address: string,
  run: string,
  onStatus: (status: RunStatus) => void,
  { signal, patienceMs, onAway }: FollowOptions,
): Promise<RunStatus | undefined> {
  const client = connectCluster(address);
  const stopped = (): boolean => signal?.aborted === true;
  let last: RunStatus | undefined;
  let awaySince: number | undefined;
  const isAwayTooLong = (): boolean => {
    if (awaySince === undefined) onAway?.();
    awaySince ??= performance.now();
    return performance.now() - awaySince > patienceMs;
  };
  try {
    while (!stopped()) {
      try {
        for await (const status of client.watch(run)) {
          if (status.state !== "interrupted") awaySince = undefined;
          last = status;
          onStatus(status);
          if (stopped()) return last;
        }
        if (last?.state !== "interrupted" || onAway === undefined || isAwayTooLong()) return last;
      } catch (thrown) {
        const error: PatchbayError = toPatchbayError(thrown);
        if (error.code !== "coordinator_unreachable" || isAwayTooLong()) throw error;
      }
      await delay(RECONNECT_MS, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
    }
    return last;
  } finally {
    client.close();
  }
}

/** The run of a coordinator that serves one. */
export async function onlyRun(address: string): Promise<string | undefined> {
  const client = connectCluster(address);
  try {
    return (await client.status("")).runs[0]?.run;
  } finally {
    client.close();
  }
}
