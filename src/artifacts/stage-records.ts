/** @file Reads the records of a stage in shard order. Completeness is proved against the plan, never by counting records. */
import { must } from "../base/assert.js";
import { PatchbayError } from "../base/errors.js";
import type { Plan, Shard, Stage } from "../plan/plan.js";
import type { RunLog } from "../runlog/run-log.js";

/** Where a reduction reads from. */
export interface RecordSource {
  readonly plan: Plan;
  readonly planHash: string;
  readonly log: RunLog;
  /** Shards that were given up; a reduction skips them only where the run allows partial results. */
  readonly quarantined: ReadonlySet<string>;
}

/** The stage with this id. */
export function stageOf(plan: Plan, id: string): Stage {
  return must(
    plan.stages.find((stage) => stage.id === id),
    `stage ${id}`,
  );
}

/** Those of the given shards that are the stage's, in order. */
export function quarantinedIn({ shards }: Stage, quarantined: Iterable<string>): Shard[] {
  const indexes = [...quarantined].flatMap((id) => shards.indexOf(id) ?? []);
  return indexes.sort((a, b) => a - b).map((index) => shards.at(index));
}

/**
 * Calls `take` with each shard's payload, in shard order: at most one payload is in memory.
 * @throws PatchbayError `corrupt_record` when a shard that is not quarantined has no record, or one of another plan.
 */
export async function forEachRecord(
  { plan, planHash, log, quarantined }: RecordSource,
  stageId: string,
  take: (shard: Shard, payload: Uint8Array) => void,
): Promise<void> {
  for (const shard of stageOf(plan, stageId).shards) {
    if (quarantined.has(shard.id)) continue;
    const record = await log.read(shard.id);
    if (record === null)
      throw new PatchbayError(
        "corrupt_record",
        `shard ${shard.id} has no record in the run log; start the run again to compute it`,
      );
    if (record.envelope.planHash !== planHash) {
      throw new PatchbayError(
        "corrupt_record",
        `the record of ${shard.id} belongs to plan ${record.envelope.planHash}, expected ${planHash}`,
      );
    }
    take(shard, record.payload);
  }
}
