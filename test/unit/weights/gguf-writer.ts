/** @file Writes small GGUF files for tests. */
import { bytesOf } from "../../../src/weights/named-array.js";

/** A metadata value; numbers are written as float32 where `float` says so, else as uint32. */
export type Written =
  string | number | { readonly float: number } | readonly (string | number | { readonly float: number })[];

/** A tensor of whole blocks. */
export interface WrittenTensor {
  readonly shape: readonly number[];
  readonly type: number;
  readonly bytes: Uint8Array;
}

/** A float32 tensor. */
export function floatTensor(shape: readonly number[], values: Float32Array): WrittenTensor {
  return { shape, type: 0, bytes: bytesOf(values) };
}

const u32 = (value: number): Uint8Array => bytesOf(Uint32Array.of(value));
const u64 = (value: number): Uint8Array => bytesOf(BigUint64Array.of(BigInt(value)));

function text(value: string): Uint8Array[] {
  const bytes = new TextEncoder().encode(value);
  return [u64(bytes.length), bytes];
}

function typed(value: Exclude<Written, readonly unknown[]>): { type: number; parts: Uint8Array[] } {
  if (typeof value === "string") return { type: 8, parts: text(value) };
  if (typeof value === "number") return { type: 4, parts: [u32(value)] };
  return { type: 6, parts: [bytesOf(Float32Array.of(value.float))] };
}

function entry(value: Written): Uint8Array[] {
  if (typeof value !== "object" || "float" in value) {
    const { type, parts } = typed(value);
    return [u32(type), ...parts];
  }
  const elements = value.map(typed);
  return [u32(9), u32(elements[0]?.type ?? 4), u64(elements.length), ...elements.flatMap(({ parts }) => parts)];
}

/** Bytes of a version 3 file. */
export function ggufBytes(
  metadata: Readonly<Record<string, Written>>,
  tensors: ReadonlyMap<string, WrittenTensor>,
): Uint8Array {
  const parts = [u32(0x46554747), u32(3), u64(tensors.size), u64(Object.keys(metadata).length)];
  for (const [key, value] of Object.entries(metadata)) parts.push(...text(key), ...entry(value));
  let offset = 0;
  const padded = (length: number): number => Math.ceil(length / 32) * 32;
  for (const [name, { shape, type, bytes }] of tensors) {
    parts.push(...text(name), u32(shape.length), ...[...shape].reverse().map(u64), u32(type), u64(offset));
    offset += padded(bytes.length);
  }
  const header = Buffer.concat(parts);
  const body = [...tensors.values()].flatMap(({ bytes }) => [
    bytes,
    new Uint8Array(padded(bytes.length) - bytes.length),
  ]);
  return Buffer.concat([header, new Uint8Array(padded(header.length) - header.length), ...body]);
}
