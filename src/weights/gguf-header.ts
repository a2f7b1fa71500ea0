/**
 * @file The header of a GGUF file: metadata and where tensors lie, checked before any of it is believed.
 *
 * Layout, little-endian: "GGUF", version, tensor count, metadata count; metadata as key, type, value; tensors as name,
 * dimensions (the fastest first), type, offset; padding; tensor bytes.
 * Source: github.com/ggml-org/ggml, docs/gguf.md.
 */
import { badInput, type ErrorDetail } from "../base/errors.js";
import { GGML_TYPES } from "./gguf-blocks.js";

/** A value of the metadata. Arrays are flat lists of one type. */
export type GgufValue = number | string | boolean | readonly GgufValue[];

/** Where a tensor's bytes lie. */
export interface GgufTensor {
  /** Row-major, slowest first, as Hugging Face writes shapes. */
  readonly shape: readonly number[];
  /** ggml's number of the element type. */
  readonly type: number;
  /** First byte, from the start of the file. */
  readonly start: number;
  readonly bytes: number;
}

/** A checked header. */
export interface GgufHeader {
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

const MAGIC = 0x46554747;
const MAX_ENTRIES = 1_000_000;
const MAX_LIST = 10_000_000;
const STRING = 8;
const LIST = 9;

/** Says that the bytes at hand end before the header does. */
export class HeaderIsLonger extends Error {}

/** Reads numbers one after another. */
interface Cursor {
  at: number;
  readonly view: DataView;
  readonly where: ErrorDetail;
}

function take(cursor: Cursor, bytes: number): number {
  const { at, view } = cursor;
  if (at + bytes > view.byteLength) throw new HeaderIsLonger();
  cursor.at += bytes;
  return at;
}

function wide(cursor: Cursor, limit: number, what: string): number {
  const value = cursor.view.getBigUint64(take(cursor, 8), true);
  if (value > BigInt(limit)) throw badInput(`expected at most ${limit} ${what}, got ${String(value)}`, cursor.where);
  return Number(value);
}

const word = (cursor: Cursor): number => cursor.view.getUint32(take(cursor, 4), true);

function text(cursor: Cursor): string {
  const length = wide(cursor, 2 ** 26, "bytes of text");
  const at = take(cursor, length);
  return new TextDecoder().decode(new Uint8Array(cursor.view.buffer, cursor.view.byteOffset + at, length));
}

const SCALARS: Readonly<Record<number, (cursor: Cursor) => number | boolean>> = {
  0: (c) => c.view.getUint8(take(c, 1)),
  1: (c) => c.view.getInt8(take(c, 1)),
  2: (c) => c.view.getUint16(take(c, 2), true),
  3: (c) => c.view.getInt16(take(c, 2), true),
  4: word,
  5: (c) => c.view.getInt32(take(c, 4), true),
  6: (c) => c.view.getFloat32(take(c, 4), true),
  7: (c) => c.view.getUint8(take(c, 1)) !== 0,
  10: (c) => Number(c.view.getBigUint64(take(c, 8), true)),
  11: (c) => Number(c.view.getBigInt64(take(c, 8), true)),
  12: (c) => c.view.getFloat64(take(c, 8), true),
};

function value(cursor: Cursor, type: number, inList = false): GgufValue {
  if (type === STRING) return text(cursor);
  if (type === LIST && !inList) {
    const of = word(cursor);
    const length = wide(cursor, MAX_LIST, "elements of a list");
    return Array.from({ length }, () => value(cursor, of, true));
  }
  const scalar = SCALARS[type];
  if (scalar === undefined) throw badInput(`expected a metadata type that is known, got ${type}`, cursor.where);
  return scalar(cursor);
}

function tensor(cursor: Cursor): readonly [string, Omit<GgufTensor, "bytes">] {
  const name = text(cursor);
  const dimensions = word(cursor);
  if (dimensions > 4) throw badInput(`${name}: expected at most 4 dimensions, got ${dimensions}`, cursor.where);
  const shape = Array.from({ length: dimensions }, () => wide(cursor, 2 ** 40, "elements of a dimension")).reverse();
  const type = word(cursor);
  return [name, { shape, type, start: wide(cursor, Number.MAX_SAFE_INTEGER, "bytes") }];
}

/**
 * Parses a header from the first bytes of a file.
 * @throws HeaderIsLonger when they end before it does; PatchbayError `bad_input` when the file is not a GGUF that can be read.
 */
export function parseGgufHeader(bytes: Uint8Array, fileBytes: number, where: ErrorDetail): GgufHeader {
  const cursor = { at: 0, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length), where };
  const magic = word(cursor);
  if (magic !== MAGIC) throw badInput("expected a GGUF file, got another kind", where);
  const version = word(cursor);
  if (version !== 2 && version !== 3) throw badInput(`expected GGUF version 2 or 3, got ${version}`, where);
  const nTensors = wide(cursor, MAX_ENTRIES, "tensors");
  const nValues = wide(cursor, MAX_ENTRIES, "metadata entries");
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < nValues; i++) {
    const key = text(cursor);
    if (metadata.has(key)) throw badInput("is in the metadata twice", { ...where, field: key });
    metadata.set(key, value(cursor, word(cursor)));
  }
  const found = Array.from({ length: nTensors }, () => tensor(cursor));
  const alignment = alignmentOf(metadata, where);
  const first = Math.ceil(cursor.at / alignment) * alignment;
  const tensors = new Map<string, GgufTensor>();
  for (const [name, { shape, type, start }] of found) {
    const here = { ...where, field: name };
    if (tensors.has(name)) throw badInput("is in the file twice", here);
    if (start % alignment !== 0) throw badInput(`expected an offset that ${alignment} divides, got ${start}`, here);
    tensors.set(name, placed({ shape, type, start: first + start }, fileBytes, here));
  }
  return { metadata, tensors };
}

function alignmentOf(metadata: GgufHeader["metadata"], where: ErrorDetail): number {
  const field = "general.alignment";
  const alignment = metadata.get(field) ?? 32;
  if (typeof alignment === "number" && Number.isSafeInteger(alignment) && alignment >= 1) return alignment;
  throw badInput("expected a whole number of 1 or more", { ...where, field });
}

function placed(tensor: Omit<GgufTensor, "bytes">, fileBytes: number, where: ErrorDetail): GgufTensor {
  const type = GGML_TYPES.get(tensor.type);
  if (type === undefined) {
    const known = Array.from(GGML_TYPES.values(), ({ name }) => name).join(", ");
    throw badInput(`expected an element type of ${known}, got ggml type ${tensor.type}`, where);
  }
  const size = tensor.shape.reduce((a, b) => a * b, 1);
  const bytes = (size / type.elements) * type.bytes;
  if (!Number.isSafeInteger(bytes) || (tensor.shape.at(-1) ?? 1) % type.elements !== 0)
    throw badInput(`expected rows of whole blocks of ${type.elements}, got ${tensor.shape.join(" x ")}`, where);
  if (tensor.start + bytes > fileBytes) {
    const end = String(tensor.start + bytes);
    throw badInput(`cut short: the tensor ends at byte ${end}, the file has ${fileBytes}`, where);
  }
  return { ...tensor, bytes };
}
