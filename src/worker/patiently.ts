/** @file Waiting for a coordinator or a NATS server that is away. */
import { performance } from "node:perf_hooks";
import { setTimeout as wait } from "node:timers/promises";
import { toPatchbayError } from "../base/errors.js";

const PAUSE_MS = 300;
/** A coordinator is waited for without end: without one there is nothing to do. */
const NATS_PATIENCE_MS = 60_000;

/** Repeats what fails because the coordinator or NATS is away until it works, fails otherwise, or `over` is aborted. */
export async function patiently<T>(
  attempt: () => Promise<T>,
  over: AbortSignal,
  natsPatienceMs: number = NATS_PATIENCE_MS,
): Promise<T> {
  const giveUpAt = performance.now() + natsPatienceMs;
  for (;;) {
    try {
      return await attempt();
    } catch (thrown) {
      const { code } = toPatchbayError(thrown);
      const away = code === "coordinator_unreachable" || (code === "nats_unreachable" && performance.now() < giveUpAt);
      if (over.aborted || !away) throw thrown;
      await wait(PAUSE_MS);
    }
  }
}
