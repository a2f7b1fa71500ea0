/** @file The safetensors format: arrays in memory to and from bytes, and files read by byte range. */
import { open } from "node:fs/promises";
import { assert, must } from "../base/assert.js";
import { badInput, PatchbayError, type ErrorDetail } from "../base/errors.js";
import { openByteFile, withByteFile, type ByteFile } from "./byte-file.js";
import { bytesOf, decodeArray, DTYPE_BYTES, dtypeOf, halvesToFloats, sizeOf, type NamedArray } from "./named-array.js";
import {
  headerLength,
  LENGTH_BYTES,
  parseHeader,
  type SafetensorsHeader,
  type TensorRange,
} from "./safetensors-header.js";
import type { StoredArray } from "./stored-array.js";

/** Bytes of 16-bit floats that are widened at a time. */
const WIDEN_BYTES = 16 * 2 ** 20;

/** What a safetensors file holds. */
export interface SafetensorsContent {
  readonly arrays: Map<string, NamedArray>;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Encodes arrays as one safetensors file. Equal arguments give equal bytes: wider element types come first, so that every
 * array is aligned, then names in code-unit order.
 */
export function encodeSafetensors(
  arrays: ReadonlyMap<string, NamedArray>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const inOrder = [...arrays].sort(
    ([a, { values: x }], [b, { values: y }]) => y.BYTES_PER_ELEMENT - x.BYTES_PER_ELEMENT || compareText(a, b),
  );
  const header: [string, unknown][] = [];
  if (Object.keys(metadata).length > 0) {
    header.push(["__metadata__", Object.fromEntries(Object.entries(metadata).sort(([a], [b]) => compareText(a, b)))]);
  }
  let end = 0;
  for (const [name, { shape, values }] of inOrder) {
    assert(sizeOf(shape) === values.length && name !== "__metadata__", `${name}: shape and values disagree`);
    header.push([name, { dtype: dtypeOf(values), shape, data_offsets: [end, end + values.byteLength] }]);
    end += values.byteLength;
  }
  const json = paddedJson(header);
  const file = new Uint8Array(LENGTH_BYTES + json.length + end);
  new DataView(file.buffer).setBigUint64(0, BigInt(json.length), true);
  file.set(json, LENGTH_BYTES);
  let position = LENGTH_BYTES + json.length;
  for (const [, { values }] of inOrder) {
    file.set(bytesOf(values), position);
    position += values.byteLength;
  }
  return file;
}

/** A float32 tensor that is written piece by piece. */
export interface FloatStream {
  readonly shape: readonly number[];
  /** Its values in order. */
  pieces(): AsyncIterable<Float32Array>;
}

/** Writes a new file of float32 tensors without ever holding one as a whole, and flushes it to the disk. */
export async function writeFloatStreams(
  path: string,
  tensors: ReadonlyMap<string, FloatStream>,
  metadata: Readonly<Record<string, string>>,
): Promise<void> {
  const header: [string, unknown][] = [["__metadata__", metadata]];
  let end = 0;
  for (const [name, { shape }] of tensors) {
    const bytes = sizeOf(shape) * Float32Array.BYTES_PER_ELEMENT;
    header.push([name, { dtype: "F32", shape, data_offsets: [end, end + bytes] }]);
    end += bytes;
  }
  const json = paddedJson(header);
  const length = new Uint8Array(LENGTH_BYTES);
  new DataView(length.buffer).setBigUint64(0, BigInt(json.length), true);
  const file = await open(path, "wx");
  try {
    await file.writeFile(length);
    await file.writeFile(json);
    for (const [name, stream] of tensors) {
      let written = 0;
      for await (const values of stream.pieces()) {
        await file.writeFile(bytesOf(values));
        written += values.length;
      }
      assert(written === sizeOf(stream.shape), `${name}: ${written} values of ${sizeOf(stream.shape)}`);
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * Decodes a whole file that is in memory. Arrays are copies; F16 and BF16 become float32.
 * @throws PatchbayError `bad_input` when the bytes are not a complete safetensors file.
 */
export function decodeSafetensors(bytes: Uint8Array, where: ErrorDetail = {}): SafetensorsContent {
  const length = headerLength(bytes.subarray(0, LENGTH_BYTES), bytes.length, where);
  const header = parseHeader(bytes.subarray(LENGTH_BYTES, LENGTH_BYTES + length), bytes.length, where);
  const arrays = new Map<string, NamedArray>();
  for (const [name, { dtype, shape, start, end }] of header.tensors) {
    arrays.set(name, { shape, values: decodeArray(bytes.subarray(start, end), dtype) });
  }
  return { arrays, metadata: header.metadata };
}

/**
 * Reads a whole file.
 * @throws PatchbayError `bad_input` as {@link decodeSafetensors}, or when the file cannot be read.
 */
export async function readSafetensorsFile(path: string): Promise<SafetensorsContent> {
  const bytes = await withByteFile(path, (file) => file.read(0, file.size));
  return decodeSafetensors(bytes, { file: path });
}

/** An open safetensors file of which only the header is in memory. Owner: whoever opened it closes it. */
export interface SafetensorsFile extends SafetensorsHeader {
  readonly path: string;
  /**
   * Reads a tensor as float32; F32, F16 and BF16 only.
   * @throws PatchbayError `bad_input` for another dtype, `non_finite` for a NaN or infinity.
   */
  readFloats(name: string): Promise<Float32Array>;
  /** A tensor before it is read. */
  array(name: string): StoredArray;
  /** Reads `count` rows of a matrix from row `first` on, as {@link readFloats} does. `[count, columns]`. */
  readFloatRows(name: string, first: number, count: number): Promise<Float32Array>;
  close(): Promise<void>;
}

/**
 * Opens a file and checks its header.
 * @throws PatchbayError `bad_input` when it is missing, cut short or inconsistent.
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const file = await openByteFile(path);
  try {
    const where = { file: path };
    const prefix = await file.read(0, Math.min(LENGTH_BYTES, file.size));
    const json = await file.read(LENGTH_BYTES, headerLength(prefix, file.size, where));
    const header = parseHeader(json, file.size, where);
    const rangeOf = (name: string): TensorRange => must(header.tensors.get(name), `tensor ${name} of ${path}`);
    return {
      ...header,
      path,
      readFloats: (name) => readFloats(file, name, rangeOf(name)),
      array: (name) => {
        const { dtype, shape, start } = rangeOf(name);
        const read = (): Promise<Float32Array> => readFloats(file, name, rangeOf(name));
        return { name, shape, place: { path, dtype, start }, read };
      },
      readFloatRows: (name, first, count) => readFloats(file, name, rowsOf(rangeOf(name), first, count)),
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** The part of a matrix's range that holds some of its rows. */
function rowsOf(range: TensorRange, first: number, count: number): TensorRange {
  const [rows, columns, ...rest] = range.shape;
  assert(rows !== undefined && columns !== undefined && rest.length === 0, "rows are read from matrices only");
  assert(first >= 0 && first + count <= rows, `rows ${first} to ${first + count} of ${rows}`);
  const rowBytes = columns * DTYPE_BYTES[range.dtype];
  const start = range.start + first * rowBytes;
  return { dtype: range.dtype, shape: [count, columns], start, end: start + count * rowBytes };
}

async function readFloats(
  file: ByteFile,
  name: string,
  { dtype, shape, start, end }: TensorRange,
): Promise<Float32Array> {
  const floats = new Float32Array(sizeOf(shape));
  if (dtype === "F32") await file.readInto(bytesOf(floats), start);
  else if (dtype === "F16" || dtype === "BF16") {
    for (let position = start; position < end; position += WIDEN_BYTES) {
      const bytes = await file.read(position, Math.min(WIDEN_BYTES, end - position));
      floats.set(halvesToFloats(bytes, dtype), (position - start) / DTYPE_BYTES[dtype]);
    }
  } else throw badInput(`expected dtype F32, BF16 or F16, got ${dtype}`, { file: file.path, field: name });
  checkFinite(floats, { file: file.path, field: name });
  return floats;
}

/**
 * Passes where every value is finite.
 * @throws PatchbayError `non_finite` naming the array and the first index at fault.
 */
export function checkFinite(values: Float32Array, where: { file: string; field: string }): void {
  const index = values.findIndex((value) => !Number.isFinite(value));
  if (index === -1) return;
  const found = String(values[index]);
  throw new PatchbayError(
    "non_finite",
    `${where.file}: ${where.field}: expected finite weights, got ${found} at element ${index}; the file is damaged`,
    { detail: where },
  );
}

/** JSON of an object with keys in the order given, padded with blanks to a multiple of 8 bytes. */
function paddedJson(entries: readonly (readonly [string, unknown])[]): Uint8Array {
  const text = `{${entries.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(",")}}`;
  const bytes = new TextEncoder().encode(text);
  const padded = new Uint8Array(Math.ceil(bytes.length / 8) * 8).fill(0x20);
  padded.set(bytes);
  return padded;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
