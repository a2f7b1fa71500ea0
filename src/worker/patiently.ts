/** @file Waiting for a coordinator that is away. */
import { setTimeout as wait } from "node:timers/promises";
import { toPatchbayError } from "../base/errors.js";

const PAUSE_MS = 300;

/** Repeats what fails for want of a coordinator until it works, fails otherwise, or `over` is aborted. */
export async function patiently<T>(attempt: () => Promise<T>, over: AbortSignal): Promise<T> {
  for (;;) {
    try {
      return await attempt();
    } catch (thrown) {
      if (over.aborted || toPatchbayError(thrown).code !== "coordinator_unreachable") throw thrown;
      await wait(PAUSE_MS);
    }
  }
}
