/**
 * @file The bytes of a record, one layout for every run log:
 *
 *   7 bytes  "PBREC1\n"
 *   1 byte   form: 0 the payload follows, 1 a manifest follows (the payload lies elsewhere)
 *   4 bytes  length of the envelope, little endian
 *   32 bytes SHA-256 of the form, the length and the envelope
 *   envelope JSON, UTF-8
 *   payload or manifest
 *
 * The envelope's digest is there because a flipped bit in, say, `count` would still be valid JSON. The payload is covered by the
 * envelope's `sha256`.
 */
import { createHash } from "node:crypto";
import { PatchbayError } from "../base/errors.js";
import { canonicalJson, sha256 } from "../base/hash.js";
import { recordEnvelopeSchema, type RecordEnvelope, type RunRecord } from "./run-log.js";

const MAGIC = Buffer.from("PBREC1\n", "latin1");
const FORM_AT = MAGIC.length;
const LENGTH_AT = FORM_AT + 1;
const DIGEST_AT = LENGTH_AT + 4;
const ENVELOPE_AT = DIGEST_AT + 32;
const ENVELOPE_LIMIT = 32 * 1024;

/** No envelope reaches beyond this many bytes from the start of a record. */
export const HEAD_LIMIT = ENVELOPE_AT + ENVELOPE_LIMIT;

/** Whether the body of a record is the payload itself or says where the payload is. */
export type RecordForm = "inline" | "manifest";

/** A record taken apart; `body` is a view of the given bytes. */
export interface DecodedRecord {
  readonly form: RecordForm;
  readonly envelope: RecordEnvelope;
  readonly body: Uint8Array;
}

/**
 * The part of a record in front of its body.
 * @throws PatchbayError `corrupt_record` when the envelope does not fit its schema.
 */
export function encodeHead(envelope: RecordEnvelope, form: RecordForm): Uint8Array {
  const parsed = recordEnvelopeSchema.safeParse(envelope);
  if (!parsed.success) throw corrupt(`record of ${envelope.shard}`, `invalid envelope: ${parsed.error.message}`);
  const json = Buffer.from(canonicalJson(parsed.data), "utf8");
  if (json.length > ENVELOPE_LIMIT) {
    throw corrupt(`record of ${envelope.shard}`, `an envelope of ${json.length} bytes is too large`);
  }
  const head = Buffer.alloc(ENVELOPE_AT + json.length);
  MAGIC.copy(head);
  head.writeUInt8(form === "manifest" ? 1 : 0, FORM_AT);
  head.writeUInt32LE(json.length, LENGTH_AT);
  json.copy(head, ENVELOPE_AT);
  headDigest(head).copy(head, DIGEST_AT);
  return head;
}

/**
 * Takes a record apart and checks its envelope; the body is not checked. `bytes` may end early, as long as it holds the envelope.
 * `source` names the record in errors.
 * @throws PatchbayError `corrupt_record`.
 */
export function decodeHead(bytes: Uint8Array, source: string): DecodedRecord {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.length < ENVELOPE_AT) throw corrupt(source, `only ${buffer.length} bytes`);
  if (!buffer.subarray(0, FORM_AT).equals(MAGIC)) throw corrupt(source, "it does not begin like a record");
  const bodyAt = ENVELOPE_AT + buffer.readUInt32LE(LENGTH_AT);
  if (bodyAt > Math.min(buffer.length, HEAD_LIMIT)) throw corrupt(source, "the envelope is cut short");
  const head = buffer.subarray(0, bodyAt);
  if (!headDigest(head).equals(head.subarray(DIGEST_AT, ENVELOPE_AT))) {
    throw corrupt(source, "the envelope does not match its digest");
  }
  const form = buffer.readUInt8(FORM_AT);
  if (form > 1) throw corrupt(source, `unknown form ${form}`);
  return {
    form: form === 1 ? "manifest" : "inline",
    envelope: parseEnvelope(head.toString("utf8", ENVELOPE_AT), source),
    body: buffer.subarray(bodyAt),
  };
}

/**
 * Joins envelope and payload after checking that the record is the asked shard's and the payload has the envelope's hash.
 * @throws PatchbayError `corrupt_record`.
 */
export function verifyRecord(envelope: RecordEnvelope, payload: Uint8Array, shard: string, source: string): RunRecord {
  if (envelope.shard !== shard) throw corrupt(source, `expected shard ${shard}, got ${envelope.shard}`);
  const got = sha256(payload);
  if (got !== envelope.sha256) {
    throw corrupt(source, `expected a payload with sha256 ${envelope.sha256}, got ${got} (${payload.length} bytes)`);
  }
  return { envelope, payload };
}

/** The error of a record that cannot be trusted. */
export function corrupt(source: string, what: string, cause?: unknown): PatchbayError {
  return new PatchbayError("corrupt_record", `${source}: ${what}; the shard has to run again`, { cause });
}

/**
 * What a read gives; null where the record is damaged: it is as good as none, for its shard runs again and the new record takes
 * the place.
 */
export async function unlessDamaged<T>(pending: Promise<T>): Promise<T | null> {
  try {
    return await pending;
  } catch (thrown) {
    if (thrown instanceof PatchbayError && thrown.code === "corrupt_record") return null;
    throw thrown;
  }
}

function headDigest(head: Buffer): Buffer {
  return createHash("sha256").update(head.subarray(FORM_AT, DIGEST_AT)).update(head.subarray(ENVELOPE_AT)).digest();
}

function parseEnvelope(json: string, source: string): RecordEnvelope {
  try {
    return recordEnvelopeSchema.parse(JSON.parse(json));
  } catch (cause) {
    throw corrupt(source, "the envelope does not fit its schema", cause);
  }
}
