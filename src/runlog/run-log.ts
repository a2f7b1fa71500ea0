/** @file The run log: the append-only, first-writer-wins store of shard results, whatever it is stored in. */
import { z } from "zod";
import { PatchbayError } from "../base/errors.js";

/** `<stage>.<number>`, as the plan writes shard ids. Both parts are safe as a file name and as a NATS subject token. */
export const SHARD_PATTERN = /^([A-Za-z0-9][A-Za-z0-9_-]{0,99})\.(\d{1,9})$/;

const text = z.string().max(1000);
const whole = z.int().min(0);

/** The schema of {@link RecordEnvelope}: applied to what is written and to what is read. */
export const recordEnvelopeSchema = z.strictObject({
  version: z.literal(1),
  planHash: text,
  shard: z.string().regex(SHARD_PATTERN),
  attempt: whole,
  epoch: whole,
  worker: text,
  environment: text,
  dtype: text,
  count: whole,
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  seconds: z.number().min(0),
  units: z.record(z.string().max(100), z.number()).readonly(),
});

/**
 * What a record says about its payload. `sha256` is the payload's hash; `count` the prompts in it; `seconds` the engine's
 * wall time; `units` the work done by kind.
 */
export type RecordEnvelope = Readonly<z.infer<typeof recordEnvelopeSchema>>;

/** One stored result. */
export interface RunRecord {
  readonly envelope: RecordEnvelope;
  readonly payload: Uint8Array;
}

/**
 * What became of an append. `duplicate` means that an earlier record holds the shard; `sha256` is that record's payload hash,
 * so that the caller can compare it with its own.
 */
export type AppendOutcome = { readonly status: "accepted" } | { readonly status: "duplicate"; readonly sha256: string };

/** An append-only store with at most one record for each shard. */
export interface RunLog {
  /**
   * Stores the record unless the shard has one. Resolves only when the record would survive the death of this process and of
   * the store's. A record that is there but damaged is set aside and replaced.
   * @throws PatchbayError `corrupt_record` when the envelope is invalid or its hash is not the payload's.
   */
  append(envelope: RecordEnvelope, payload: Uint8Array): Promise<AppendOutcome>;
  /**
   * The shard's record, verified against its hash and schema; null when there is none.
   * @throws PatchbayError `corrupt_record` when what is stored is damaged. Running the shard again replaces it.
   */
  read(shard: string): Promise<RunRecord | null>;
  /**
   * Envelopes of all records, ordered by shard. Damaged envelopes are left out and payloads are not read: a run is complete when
   * every shard of the plan has been read, never when this list is long enough.
   */
  list(): Promise<RecordEnvelope[]>;
  close(): Promise<void>;
}

/**
 * Splits a shard id into stage and number.
 * @throws PatchbayError `bad_message` when it is not a shard id.
 */
export function splitShardId(shard: string): { readonly stage: string; readonly number: string } {
  const [, stage, number] = SHARD_PATTERN.exec(shard) ?? [];
  if (stage === undefined || number === undefined) {
    throw new PatchbayError("bad_message", `shard id: expected <stage>.<number>, got ${JSON.stringify(shard)}`);
  }
  return { stage, number };
}

/** Orders envelopes by shard id, so that a list does not depend on who finished first. */
export function orderByShard(envelopes: readonly RecordEnvelope[]): RecordEnvelope[] {
  return [...envelopes].sort((a, b) => (a.shard < b.shard ? -1 : a.shard > b.shard ? 1 : 0));
}
