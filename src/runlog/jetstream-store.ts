/** @file One run's JetStream stream: publishing with first-writer-wins, and reading single messages. */
import {
  DiscardPolicy,
  NatsError,
  RetentionPolicy,
  StorageType,
  type JetStreamClient,
  type JetStreamManager,
} from "nats";
import { badInput, PatchbayError } from "../base/errors.js";
import { isTransient, retryTransient, natsUnreachable, type NatsLink } from "./nats-connection.js";
import { splitShardId } from "./run-log.js";

/** "wrong last sequence": the subject already holds a message. Source: nats-server, JSStreamWrongLastSequenceErrF. */
const WRONG_LAST_SEQUENCE = new Set([10_071, 10_164]);
const STREAM_EXISTS = 10_058;
const RUN_PATTERN = /^[A-Za-z0-9_-]{1,100}$/;
const REQUEST_TIMEOUT_MS = { least: 250, most: 5_000 };
/** Larger bodies are cut into frames. */
const FRAME_BYTES = 512 * 1024;
const HEADER_ALLOWANCE = 8 * 1024;

/** A message as it is stored. */
export interface StoredMessage {
  readonly sequence: number;
  readonly body: Uint8Array;
}

/** The stream of one run. Every method waits out a server that is away. */
export interface JetStreamStore {
  /** Largest body that goes into one message, in bytes. */
  readonly frameBytes: number;
  /** Publishes and returns the stream sequence, once the server has acknowledged it. */
  publish(subject: string, body: Uint8Array): Promise<number>;
  /** As publish, but null when the subject holds a message already. */
  publishFirst(subject: string, body: Uint8Array): Promise<number | null>;
  last(subject: string): Promise<StoredMessage | null>;
  at(sequence: number): Promise<StoredMessage | null>;
  /** Subjects under `filter` that hold a message, in no order. */
  subjects(filter: string): Promise<string[]>;
  remove(sequence: number): Promise<void>;
}

/** The subject of a shard's record. */
export function resultSubject(run: string, shard: string): string {
  const { stage, number } = splitShardId(shard);
  return `patchbay.${run}.result.${stage}.${number}`;
}

/** The subject of one frame of an attempt's payload. */
export function frameSubject(run: string, shard: string, attempt: number, frame: number): string {
  const { stage, number } = splitShardId(shard);
  return `patchbay.${run}.frame.${stage}.${number}.${attempt}.${frame}`;
}

/**
 * Opens the stream of a run, and makes it if it does not exist.
 * @param patienceMs How long each request waits for a server that is away.
 * @throws PatchbayError `nats_unreachable` when the server has no JetStream; `bad_input` when the run id cannot be a subject.
 */
export async function openStore(link: NatsLink, run: string, patienceMs: number): Promise<JetStreamStore> {
  if (!RUN_PATTERN.test(run)) {
    throw badInput(`run id: expected letters, digits, - and _ only, got ${JSON.stringify(run)}`);
  }
  const stream = `patchbay-${run}`;
  const timeout = Math.max(REQUEST_TIMEOUT_MS.least, Math.min(REQUEST_TIMEOUT_MS.most, patienceMs));
  const manager = await expectJetStream(link, timeout);
  const client = link.connection.jetstream({ timeout });
  const ask = <T>(request: () => Promise<T>): Promise<T> =>
    translate(link, () => retryTransient(link, patienceMs, request));
  await ask(() => ensureStream(manager, stream, run));
  return {
    frameBytes: Math.min(FRAME_BYTES, (link.connection.info?.max_payload ?? FRAME_BYTES * 2) - HEADER_ALLOWANCE),
    publish: (subject, body) => ask(() => publish(client, stream, subject, body)),
    publishFirst: (subject, body) => ask(() => publishFirst(client, stream, subject, body)),
    last: (subject) => ask(() => getMessage(manager, stream, { last_by_subj: subject })),
    at: (sequence) => ask(() => getMessage(manager, stream, { seq: sequence })),
    subjects: (filter) => ask(() => subjects(manager, stream, filter)),
    remove: async (sequence) => {
      await ask(() => unlessGone(manager.streams.deleteMessage(stream, sequence, false)));
    },
  };
}

/**
 * The server's JetStream.
 * @throws PatchbayError `nats_unreachable` when it has none.
 */
export async function expectJetStream(
  link: NatsLink,
  timeout: number = REQUEST_TIMEOUT_MS.most,
): Promise<JetStreamManager & DirectReads> {
  try {
    return (await link.connection.jetstreamManager({ timeout })) as JetStreamManager & DirectReads;
  } catch (thrown) {
    if (!isTransient(thrown)) throw thrown;
    throw natsUnreachable(link.address, "expected JetStream, but it is not enabled or not ready", thrown);
  }
}

async function ensureStream(manager: JetStreamManager, name: string, run: string): Promise<void> {
  if ((await unlessGone(manager.streams.info(name))) !== null) return;
  try {
    await manager.streams.add({
      name,
      subjects: [`patchbay.${run}.>`],
      storage: StorageType.File,
      retention: RetentionPolicy.Limits,
      discard: DiscardPolicy.New, // A full stream refuses new results; it never drops old ones.
      allow_direct: true,
    });
  } catch (thrown) {
    // Another process made it first, or an operator made it with other limits.
    if (!(thrown instanceof NatsError && thrown.api_error?.err_code === STREAM_EXISTS)) throw thrown;
  }
}

async function publish(client: JetStreamClient, stream: string, subject: string, body: Uint8Array): Promise<number> {
  const ack = await client.publish(subject, body, { expect: { streamName: stream } });
  return ack.seq;
}

async function publishFirst(
  client: JetStreamClient,
  stream: string,
  subject: string,
  body: Uint8Array,
): Promise<number | null> {
  try {
    const ack = await client.publish(subject, body, { expect: { streamName: stream, lastSubjectSequence: 0 } });
    return ack.seq;
  } catch (thrown) {
    if (thrown instanceof NatsError && WRONG_LAST_SEQUENCE.has(thrown.api_error?.err_code ?? 0)) return null;
    throw thrown;
  }
}

/** Reads from any replica; a replica that does not have the message may lag, so the leader has the last word. */
async function getMessage(
  manager: JetStreamManager & DirectReads,
  stream: string,
  query: MessageQuery,
): Promise<StoredMessage | null> {
  const direct = await unlessGone(manager.direct.getMessage(stream, query));
  const found = direct ?? (await unlessGone(manager.streams.getMessage(stream, query)));
  return found === null ? null : { sequence: found.seq, body: found.data };
}

/** The client library has direct reads, but not in the public type of its manager. */
interface DirectReads {
  readonly direct: {
    getMessage(stream: string, query: MessageQuery): Promise<{ readonly seq: number; readonly data: Uint8Array }>;
  };
}

type MessageQuery = { readonly last_by_subj: string } | { readonly seq: number };

async function subjects(manager: JetStreamManager, stream: string, filter: string): Promise<string[]> {
  const found = await manager.streams.info(stream, { subjects_filter: filter });
  return Object.keys(found.state.subjects ?? {});
}

/** The result, or null when the server says that the message or the stream does not exist. */
async function unlessGone<T>(pending: Promise<T>): Promise<T | null> {
  try {
    return await pending;
  } catch (thrown) {
    if (thrown instanceof NatsError && (thrown.code === "404" || thrown.api_error?.code === 404)) return null;
    throw thrown;
  }
}

async function translate<T>(link: NatsLink, request: () => Promise<T>): Promise<T> {
  try {
    return await request();
  } catch (thrown) {
    if (!(thrown instanceof NatsError)) throw thrown;
    const what = thrown.api_error?.description ?? thrown.message;
    throw new PatchbayError("application", `NATS at ${link.address} refuses a request: ${what}`, { cause: thrown });
  }
}
