/** @file Follows a run through its coordinator's `Watch` stream, across restarts of the coordinator. */
import { setTimeout as delay } from "node:timers/promises";
import { type PatchbayError, toPatchbayError } from "../base/errors.js";
import { connectCluster } from "../wire/cluster-client.js";
import type { RunStatus } from "../wire/messages.js";

const RECONNECT_MS = 500;

/**
 * Calls `onStatus` with every status of the run, until it is final or `signal` fires.
 * @returns the last status; undefined when there was none.
 * @throws what the coordinator answers, unless it is only away for `patienceMs`.
 */
export async function followRun(
  address: string,
  run: string,
  onStatus: (status: RunStatus) => void,
  { signal, patienceMs }: { readonly signal?: AbortSignal; readonly patienceMs: number },
): Promise<RunStatus | undefined> {
  const client = connectCluster(address);
  const stopped = (): boolean => signal?.aborted === true;
  let last: RunStatus | undefined;
  let awaySince: number | undefined;
  try {
    while (!stopped()) {
      try {
        for await (const status of client.watch(run)) {
          awaySince = undefined;
          last = status;
          onStatus(status);
          if (stopped()) return last;
        }
        return last;
      } catch (thrown) {
        const error: PatchbayError = toPatchbayError(thrown);
        awaySince ??= performance.now();
        if (error.code !== "coordinator_unreachable" || performance.now() - awaySince > patienceMs) throw error;
        await delay(RECONNECT_MS, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
      }
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
