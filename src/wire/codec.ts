/** @file Bytes <-> domain messages: static protobuf code, then zod. */
import { z } from "zod";
import { PatchbayError } from "../base/errors.js";
import { patchbay } from "./generated/patchbay.js";
import { clipProse } from "./clip-prose.js";
import { MAX_MESSAGE_BYTES, TEXT_LENGTHS } from "./limits.js";
import {
  artifactPartSchema,
  cancelReplySchema,
  clusterStatusSchema,
  fetchRequestSchema,
  fromCoordinatorSchema,
  fromWorkerSchema,
  runRequestSchema,
  runStatusSchema,
  statusRequestSchema,
  submitReplySchema,
  submitRequestSchema,
} from "./messages.js";

/** A message's two directions. */
export interface Codec<T> {
  /** Cuts long texts for people. @throws PatchbayError `bad_message` when the message is larger than the other side accepts. */
  encode(message: T): Buffer;
  /** @throws PatchbayError `bad_message` when the bytes do not decode, or decode to an invalid message. */
  decode(bytes: Uint8Array): T;
}

/** What the generated code offers for each message. */
interface Generated {
  readonly name: string;
  encode(message: never): { finish(): Uint8Array };
  decode(bytes: Uint8Array): unknown;
  toObject(message: never, options: object): Record<string, unknown>;
}

const OPTIONS = { defaults: true, oneofs: true };

function plainCodec<T>(name: string, generated: Generated, schema: z.ZodType<T>): Codec<T> {
  return makeCodec(name, generated, schema, { toWire: (message) => message, fromWire: (raw) => raw });
}

/** For messages that are one `oneof body`: `{ body: "x", x: {...} }` on the wire is `{ kind: "x", ... }` here. */
function unionCodec<T extends { readonly kind: string }>(
  name: string,
  generated: Generated,
  schema: z.ZodType<T>,
): Codec<T> {
  return makeCodec(name, generated, schema, {
    toWire: ({ kind, ...content }) => ({ [kind]: content }),
    fromWire: (raw) => {
      const kind = raw["body"];
      const content = typeof kind === "string" ? raw[kind] : undefined;
      return typeof content === "object" ? { ...content, kind } : undefined;
    },
  });
}

/** How a message is told from the object that protobuf's code has for it. */
interface Shapes<T> {
  readonly toWire: (message: T) => unknown;
  readonly fromWire: (raw: Record<string, unknown>) => unknown;
}

function makeCodec<T>(
  name: string,
  generated: Generated,
  schema: z.ZodType<T>,
  { toWire, fromWire }: Shapes<T>,
): Codec<T> {
  return {
    encode: (message) => {
      let size = 0;
      for (const length of TEXT_LENGTHS) {
        const bytes = generated.encode(toWire(clipProse(message, length)) as never).finish();
        size = bytes.length;
        if (size <= MAX_MESSAGE_BYTES) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      }
      throw new PatchbayError("bad_message", `${name}: expected at most ${MAX_MESSAGE_BYTES} bytes, got ${size}`);
    },
    decode: (bytes) => {
      const parsed = schema.safeParse(fromWire(readRaw(name, generated, bytes)));
      if (parsed.success) return parsed.data;
      throw new PatchbayError("bad_message", `${name}: ${z.prettifyError(parsed.error)}`, { cause: parsed.error });
    },
  };
}

function readRaw(name: string, generated: Generated, bytes: Uint8Array): Record<string, unknown> {
  try {
    return generated.toObject(generated.decode(bytes) as never, OPTIONS);
  } catch (cause) {
    throw new PatchbayError("bad_message", `${name}: the bytes are not a protobuf message`, { cause });
  }
}

const { v1 } = patchbay;

/** The `oneof` of chunk is bytes, not a message. */
const artifactPart = makeCodec("ArtifactPart", v1.ArtifactPart, artifactPartSchema, {
  toWire: (part) =>
    part.kind === "chunk" ? { chunk: part.chunk } : { header: { sha256: part.sha256, size: part.size } },
  fromWire: (raw) =>
    raw["body"] === "chunk" ? { kind: "chunk", chunk: raw["chunk"] } : { kind: "header", ...(raw["header"] ?? {}) },
});

/** One codec for each message of the contract. */
export const codecs = {
  fromWorker: unionCodec("FromWorker", v1.FromWorker, fromWorkerSchema),
  fromCoordinator: unionCodec("FromCoordinator", v1.FromCoordinator, fromCoordinatorSchema),
  submitRequest: plainCodec("SubmitRequest", v1.SubmitRequest, submitRequestSchema),
  submitReply: plainCodec("SubmitReply", v1.SubmitReply, submitReplySchema),
  statusRequest: plainCodec("StatusRequest", v1.StatusRequest, statusRequestSchema),
  clusterStatus: plainCodec("ClusterStatus", v1.ClusterStatus, clusterStatusSchema),
  watchRequest: plainCodec("WatchRequest", v1.WatchRequest, runRequestSchema),
  runStatus: plainCodec("RunStatus", v1.RunStatus, runStatusSchema),
  cancelRequest: plainCodec("CancelRequest", v1.CancelRequest, runRequestSchema),
  cancelReply: plainCodec("CancelReply", v1.CancelReply, cancelReplySchema),
  fetchRequest: plainCodec("FetchRequest", v1.FetchRequest, fetchRequestSchema),
  artifactPart,
};
