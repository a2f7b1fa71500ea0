/**
 * @file The npy format of one array: header in, header out, and values as float32 in row-major order.
 *
 * Layout: `\x93NUMPY`, two version bytes, little-endian header length (2 bytes, 4 from version 2 on), a Python dict as text.
 * Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */
import { assert } from "../base/assert.js";
import { badInput, type ErrorDetail } from "../base/errors.js";
import { decodeArray, sizeOf, shapeText, type Dtype } from "./named-array.js";

/** Bytes that hold any header we accept. */
export const MAX_NPY_HEADER_BYTES = 4096;

const MAGIC = Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59); // "\x93NUMPY"
const DTYPES: Readonly<Record<string, Dtype>> = { "<f2": "F16", "<f4": "F32", "<f8": "F64" };
const ITEM_BYTES: Readonly<Record<string, number>> = { "<f2": 2, "<f4": 4, "<f8": 8 };
const DICT =
  /^\{\s*'descr'\s*:\s*'(?<descr>[^']{1,16})'\s*,\s*'fortran_order'\s*:\s*(?<fortran>True|False)\s*,\s*'shape'\s*:\s*\((?<shape>[\d, ]{0,200})\)\s*,?\s*\}\s*$/;

/** What an npy header says. */
export interface NpyHeader {
  /** `<f2`, `<f4` or `<f8`. */
  readonly descr: string;
  /** Whether the first index varies fastest. */
  readonly fortranOrder: boolean;
  readonly shape: readonly number[];
  /** Where the values start, from the start of the npy. */
  readonly dataStart: number;
}

/**
 * Parses the header at the start of `bytes`, which may be longer or end inside the values.
 * @param npyBytes Length of the whole npy.
 * @throws PatchbayError `bad_input` when it is not an npy of floats, or its length does not fit its shape.
 */
export function parseNpyHeader(bytes: Uint8Array, npyBytes: number, where: ErrorDetail): NpyHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 12 || MAGIC.some((byte, at) => bytes[at] !== byte)) {
    throw badInput("expected an array in npy format, got other bytes", where);
  }
  const wide = view.getUint8(6) >= 2;
  const textStart = wide ? 12 : 10;
  const dataStart = textStart + (wide ? view.getUint32(8, true) : view.getUint16(8, true));
  if (dataStart > Math.min(npyBytes, MAX_NPY_HEADER_BYTES)) {
    throw badInput(`expected an npy header of at most ${MAX_NPY_HEADER_BYTES} bytes, got ${dataStart}`, where);
  }
  const dict = DICT.exec(new TextDecoder("latin1").decode(bytes.subarray(textStart, dataStart)))?.groups;
  if (dict === undefined)
    throw badInput("expected an npy header with descr, fortran_order and shape, got other text", where);
  const descr = dict["descr"] ?? "";
  const itemBytes = ITEM_BYTES[descr];
  if (itemBytes === undefined) throw badInput(`expected dtype <f4, <f8 or <f2, got ${descr}`, where);
  const shape = (dict["shape"] ?? "").split(",").filter((part) => part.trim() !== "").map(Number); // prettier-ignore
  const expected = dataStart + sizeOf(shape) * itemBytes;
  if (expected !== npyBytes) {
    throw badInput(`expected ${expected} bytes for ${descr} ${shapeText(shape)}, got ${npyBytes}`, where);
  }
  return { descr, fortranOrder: dict["fortran"] === "True", shape, dataStart };
}

/**
 * The values as float32, row-major.
 * @param data The bytes behind the header.
 * @throws PatchbayError `bad_input` for Fortran order with more than two axes.
 */
export function npyFloats(header: NpyHeader, data: Uint8Array, where: ErrorDetail): Float32Array {
  const { descr, fortranOrder, shape } = header;
  const stored = decodeArray(data, DTYPES[descr] ?? "F32");
  const floats = stored instanceof Float32Array ? stored : Float32Array.from(stored as Float64Array);
  const [rows = 1, columns = 1, ...rest] = shape;
  if (!fortranOrder || shape.length < 2) return floats;
  if (rest.length > 0)
    throw badInput(`expected C order or at most two axes, got Fortran order ${shapeText(shape)}`, where);
  return transpose(floats, columns, rows);
}

/** A float32 array as an npy file of version 1.0 in C order, with the padding that numpy writes. */
export function encodeNpy(shape: readonly number[], values: Float32Array): Uint8Array {
  assert(sizeOf(shape) === values.length, "shape and values agree");
  const header = encodeNpyHeader(shape);
  const npy = new Uint8Array(header.length + values.byteLength);
  npy.set(header);
  npy.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), header.length);
  return npy;
}

/** What stands before the values of a float32 array in C order. */
export function encodeNpyHeader(shape: readonly number[]): Uint8Array {
  const tuple = shape.length === 1 ? `(${String(shape[0])},)` : `(${shape.join(", ")})`;
  const dict = `{'descr': '<f4', 'fortran_order': False, 'shape': ${tuple}, }`;
  const textBytes = Math.ceil((10 + dict.length + 1) / 64) * 64 - 10;
  const header = new Uint8Array(10 + textBytes);
  header.set(MAGIC);
  header[6] = 1;
  new DataView(header.buffer).setUint16(8, textBytes, true);
  header.set(new TextEncoder().encode(`${dict.padEnd(textBytes - 1)}\n`), 10);
  return header;
}

/** Transposes a row-major `[rows, columns]` matrix in tiles, which keeps both sides in the cache. */
export function transpose(matrix: Float32Array, rows: number, columns: number): Float32Array {
  const TILE = 32;
  const transposed = new Float32Array(matrix.length);
  for (let row = 0; row < rows; row += TILE) {
    for (let column = 0; column < columns; column += TILE) {
      const rowEnd = Math.min(row + TILE, rows);
      const columnEnd = Math.min(column + TILE, columns);
      for (let i = row; i < rowEnd; i++) {
        for (let j = column; j < columnEnd; j++) transposed[j * rows + i] = matrix[i * columns + j] as number;
      }
    }
  }
  return transposed;
}
