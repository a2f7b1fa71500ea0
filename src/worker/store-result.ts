/** @file Puts a shard's result into the run log. */
import { setTimeout as wait } from "node:timers/promises";
import { toPatchbayError } from "../base/errors.js";
import type { RecordEnvelope } from "../runlog/run-log.js";
import type { Lease } from "../wire/messages.js";
import type { EngineResult } from "./engine-messages.js";
import type { OpenRun } from "./open-run.js";

/** Pauses between attempts while the log's server is away. */
const PAUSES_MS = [500, 1000, 2000, 4000, 8000, 15_000];

/**
 * Appends the record of a result. Whether it or an earlier attempt's record is in the log afterwards, the shard has one.
 * @throws nats_unreachable after half a minute without the log's server; whatever else the log throws.
 */
export async function appendResult(
  run: OpenRun,
  { shard, attempt, epoch }: Lease,
  worker: string,
  { payload, sha256, count, units, seconds }: EngineResult,
  over: AbortSignal,
): Promise<void> {
  const envelope: RecordEnvelope = {
    version: 1,
    planHash: run.planHash,
    shard,
    attempt,
    epoch,
    worker,
    environment: run.fingerprint,
    dtype: run.environment.dtype,
    count,
    sha256,
    seconds,
    units,
  };
  for (const pause of [...PAUSES_MS, null]) {
    try {
      await run.log.append(envelope, payload);
      return;
    } catch (thrown) {
      if (pause === null || over.aborted || toPatchbayError(thrown).code !== "nats_unreachable") throw thrown;
      await wait(pause);
    }
  }
}
