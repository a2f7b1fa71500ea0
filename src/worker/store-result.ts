/** @file Puts a shard's result into the run log. */
import type { RecordEnvelope } from "../runlog/run-log.js";
import type { Lease } from "../wire/messages.js";
import type { EngineResult } from "../engine/engine-messages.js";
import type { OpenRun } from "./open-run.js";

/**
 * Appends the record of a result. Whether it or an earlier attempt's record is in the log afterwards, the shard has one.
 * @throws what the log throws; it waits by itself for a server that is away.
 */
export async function appendResult(
  run: OpenRun,
  { shard, attempt, epoch }: Lease,
  worker: string,
  { payload, sha256, count, units, seconds }: EngineResult,
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
  await run.log.append(envelope, payload);
}
