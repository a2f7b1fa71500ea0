/** @file Arrays as files hold them: a shape, values in row-major order, and the element types of safetensors. */
import { endianness } from "node:os";
import { assert } from "../base/assert.js";

assert(endianness() === "LE", "weights are read by reinterpreting little-endian bytes");

/** Element types with a safetensors name of their own. */
export type NumericArray =
  | Float64Array
  | Float32Array
  | BigInt64Array
  | BigUint64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array;

/** An array with a shape; values in row-major (C) order. */
export interface NamedArray {
  readonly shape: readonly number[];
  readonly values: NumericArray;
}

/** Bytes per element of each safetensors dtype that is read. */
export const DTYPE_BYTES = {
  F64: 8,
  I64: 8,
  U64: 8,
  F32: 4,
  I32: 4,
  U32: 4,
  F16: 2,
  BF16: 2,
  I16: 2,
  U16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
} as const;
/** Name of an element type in a safetensors header. */
export type Dtype = keyof typeof DTYPE_BYTES;

/** The safetensors dtype of a typed array. */
export function dtypeOf(values: NumericArray): Dtype {
  if (values instanceof Float64Array) return "F64";
  if (values instanceof Float32Array) return "F32";
  if (values instanceof BigInt64Array) return "I64";
  if (values instanceof BigUint64Array) return "U64";
  if (values instanceof Int32Array) return "I32";
  if (values instanceof Uint32Array) return "U32";
  if (values instanceof Int16Array) return "I16";
  if (values instanceof Uint16Array) return "U16";
  return values instanceof Int8Array ? "I8" : "U8";
}

/** Decodes little-endian bytes into a typed array of its own; F16 and BF16 become float32. */
export function decodeArray(bytes: Uint8Array, dtype: Dtype): NumericArray {
  if (dtype === "F16" || dtype === "BF16") return halvesToFloats(bytes, dtype);
  const { buffer } = new Uint8Array(bytes); // A copy, aligned for every element type; `slice` of a Buffer is a view.
  switch (dtype) {
    case "F64":
      return new Float64Array(buffer);
    case "F32":
      return new Float32Array(buffer);
    case "I64":
      return new BigInt64Array(buffer);
    case "U64":
      return new BigUint64Array(buffer);
    case "I32":
      return new Int32Array(buffer);
    case "U32":
      return new Uint32Array(buffer);
    case "I16":
      return new Int16Array(buffer);
    case "U16":
      return new Uint16Array(buffer);
    case "I8":
      return new Int8Array(buffer);
    default:
      return new Uint8Array(buffer);
  }
}

/** The bytes of a typed array, without a copy. */
export function bytesOf(values: NumericArray): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** Number of elements of a shape; NaN where it is not a safe integer. */
export function sizeOf(shape: readonly number[]): number {
  const size = shape.reduce((product, length) => product * length, 1);
  return Number.isSafeInteger(size) ? size : NaN;
}

/** `[393, 48]`. */
export function shapeText(shape: readonly number[]): string {
  return `[${shape.join(", ")}]`;
}

/** Widens little-endian 16-bit floats to float32, exactly. */
export function halvesToFloats(bytes: Uint8Array, dtype: "F16" | "BF16"): Float32Array<ArrayBuffer> {
  const halves = new Uint16Array(new Uint8Array(bytes).buffer);
  const bits = new Uint32Array(halves.length);
  if (dtype === "BF16") for (let i = 0; i < halves.length; i++) bits[i] = (halves[i] as number) << 16;
  else for (let i = 0; i < halves.length; i++) bits[i] = halfToFloatBits(halves[i] as number);
  return new Float32Array(bits.buffer);
}

/** Bits of the float32 that equals an IEEE 754 binary16. */
function halfToFloatBits(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return sign | 0x7f800000 | (fraction << 13);
  if (exponent !== 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  const shift = Math.clz32(fraction) - 21; // A subnormal: move its leading one to the hidden bit.
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13);
}
