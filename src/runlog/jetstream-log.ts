/**
 * @file The run log in NATS JetStream: one message for each record, on `patchbay.<run>.result.<stage>.<number>`.
 *
 * To append:
 * 1. a payload that does not fit one message goes first, in frames, on `patchbay.<run>.frame...`; each is acknowledged;
 * 2. the record goes out on its own subject, on condition that the subject is empty: of two writers one wins, however far apart
 *    in time they are. It carries the payload, or the sequences of its frames;
 * 3. the append succeeds when the server has acknowledged the record; the loser reads the winner's hash.
 *
 * Frames that no record names are ignored: their writer died or lost.
 */
import { z } from "zod";
import { mapInOrder } from "../base/map-in-order.js";
import {
  expectJetStream,
  frameSubject,
  openStore,
  resultSubject,
  type JetStreamStore,
  type StoredMessage,
} from "./jetstream-store.js";
import { connectNats } from "./nats-connection.js";
import { corrupt, decodeHead, encodeHead, unlessDamaged, verifyRecord } from "./record-codec.js";
import { orderByShard, type AppendOutcome, type RecordEnvelope, type RunLog, type RunRecord } from "./run-log.js";

const DEFAULT_PATIENCE_MS = 60_000;
const REQUESTS_AT_ONCE = 16;
const REPLACEMENTS = 3;

/** What a record holds instead of a large payload. */
const manifestSchema = z.strictObject({
  bytes: z.int().min(0).max(Number.MAX_SAFE_INTEGER),
  frames: z.array(z.int().min(1)).max(1_000_000),
});

/** Options of {@link openJetStreamLog}. */
export interface JetStreamLogOptions {
  /** How long a request waits for a server that went away, in milliseconds. */
  readonly patienceMs?: number;
}

/**
 * Opens the run log of a run on a NATS server, and makes its stream if need be.
 * @throws PatchbayError `nats_unreachable` when no server answers, or it has no JetStream.
 */
export async function openJetStreamLog(url: string, runId: string, options: JetStreamLogOptions = {}): Promise<RunLog> {
  const link = await connectNats(url);
  try {
    const store = await openStore(link, runId, options.patienceMs ?? DEFAULT_PATIENCE_MS);
    return {
      append: (envelope, payload) => append(store, runId, envelope, payload),
      read: (shard) => read(store, runId, shard),
      list: () => list(store, runId),
      close: () => link.connection.close(),
    };
  } catch (thrown) {
    await link.connection.close();
    throw thrown;
  }
}

/**
 * Checks that a NATS server answers and has JetStream, and leaves nothing on it.
 * @throws PatchbayError as {@link openJetStreamLog}.
 */
export async function checkJetStream(url: string): Promise<void> {
  const link = await connectNats(url);
  try {
    await expectJetStream(link);
  } finally {
    await link.connection.close();
  }
}

async function append(
  store: JetStreamStore,
  run: string,
  envelope: RecordEnvelope,
  payload: Uint8Array,
): Promise<AppendOutcome> {
  const subject = resultSubject(run, envelope.shard);
  verifyRecord(envelope, payload, envelope.shard, `record of ${envelope.shard}`);
  const head = encodeHead(envelope, "inline");
  const fits = head.length + payload.length <= store.frameBytes;
  for (let round = 0; round < REPLACEMENTS; round++) {
    const earlier = fits && round === 0 ? null : await store.last(subject); // Do not send frames in vain.
    if (earlier === null) {
      const body = fits ? Buffer.concat([head, payload]) : await publishFrames(store, run, envelope, payload);
      if ((await store.publishFirst(subject, body)) !== null) return { status: "accepted" };
    }
    const winner = earlier ?? (await store.last(subject));
    if (winner === null) continue;
    const record = await unlessDamaged(decode(store, winner, envelope.shard, subject));
    if (record !== null) return { status: "duplicate", sha256: record.envelope.sha256 };
    await store.remove(winner.sequence);
  }
  throw corrupt(subject, "a damaged record came back after it was removed");
}

/** Publishes the payload in frames and returns the record that names them. */
async function publishFrames(
  store: JetStreamStore,
  run: string,
  envelope: RecordEnvelope,
  payload: Uint8Array,
): Promise<Uint8Array> {
  const starts = Array.from(
    { length: Math.ceil(payload.length / store.frameBytes) },
    (_none, frame) => frame * store.frameBytes,
  );
  const frames = await mapInOrder(starts, REQUESTS_AT_ONCE, (start, frame) =>
    store.publish(
      frameSubject(run, envelope.shard, envelope.attempt, frame),
      payload.subarray(start, start + store.frameBytes),
    ),
  );
  const manifest = Buffer.from(JSON.stringify({ bytes: payload.length, frames }), "utf8");
  return Buffer.concat([encodeHead(envelope, "manifest"), manifest]);
}

async function read(store: JetStreamStore, run: string, shard: string): Promise<RunRecord | null> {
  const subject = resultSubject(run, shard);
  const message = await store.last(subject);
  return message === null ? null : decode(store, message, shard, subject);
}

async function decode(
  store: JetStreamStore,
  message: StoredMessage,
  shard: string,
  source: string,
): Promise<RunRecord> {
  const { form, envelope, body } = decodeHead(message.body, source);
  const payload = form === "inline" ? body : await readFrames(store, body, source);
  return verifyRecord(envelope, payload, shard, source);
}

async function readFrames(store: JetStreamStore, manifest: Uint8Array, source: string): Promise<Uint8Array> {
  const { bytes, frames } = parseManifest(manifest, source);
  const parts = await mapInOrder(frames, REQUESTS_AT_ONCE, async (sequence) => {
    const frame = await store.at(sequence);
    if (frame === null) throw corrupt(source, `frame at sequence ${sequence} is missing`);
    return frame.body;
  });
  const payload = Buffer.concat(parts);
  if (payload.length !== bytes) {
    throw corrupt(source, `expected ${bytes} bytes in frames, got ${payload.length}`);
  }
  return payload;
}

function parseManifest(manifest: Uint8Array, source: string): z.infer<typeof manifestSchema> {
  try {
    return manifestSchema.parse(JSON.parse(Buffer.from(manifest).toString("utf8")));
  } catch (cause) {
    throw corrupt(source, "the list of frames is damaged", cause);
  }
}

async function list(store: JetStreamStore, run: string): Promise<RecordEnvelope[]> {
  const subjects = await store.subjects(`patchbay.${run}.result.>`);
  const envelopes = await mapInOrder(subjects, REQUESTS_AT_ONCE, (subject) =>
    unlessDamaged(readEnvelope(store, run, subject)),
  );
  return orderByShard(envelopes.filter((envelope) => envelope !== null));
}

/** The envelope on a subject, or null when it is gone, or not of the record that the subject says. */
async function readEnvelope(store: JetStreamStore, run: string, subject: string): Promise<RecordEnvelope | null> {
  const message = await store.last(subject);
  if (message === null) return null;
  const { envelope } = decodeHead(message.body, subject);
  return resultSubject(run, envelope.shard) === subject ? envelope : null;
}
