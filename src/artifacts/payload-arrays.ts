/**
 * @file Payloads of the run log: the results of one shard as named arrays in safetensors bytes.
 *
 * A payload holds what one block of prompts gave, never a mean; reductions add payloads in float64, in shard order.
 */
import { must } from "../base/assert.js";
import type { NamedArray, NumericArray } from "../weights/named-array.js";

/** A payload's arrays by key. */
export type Arrays = ReadonlyMap<string, NamedArray>;

/** An array without structure. */
export const flat = (values: NumericArray): NamedArray => ({ shape: [values.length], values });

/** Reads what every hook has, where a key that ends in `tail` says which hooks there are. */
export function collect<T>(arrays: Arrays, tail: string, read: (hook: string) => T): Map<string, T> {
  const hooks = [...arrays.keys()].filter((key) => key.endsWith(tail)).map((key) => key.slice(0, -tail.length));
  return new Map(hooks.map((hook) => [hook, read(hook)]));
}

/** The float64 array of a key. */
export function float64(arrays: Arrays, key: string): Float64Array {
  return typed(arrays, key, Float64Array);
}

/** The float32 array of a key. */
export function float32(arrays: Arrays, key: string): Float32Array {
  return typed(arrays, key, Float32Array);
}

/** The int32 array of a key. */
export function int32(arrays: Arrays, key: string): Int32Array {
  return typed(arrays, key, Int32Array);
}

function typed<T extends NumericArray>(arrays: Arrays, key: string, kind: abstract new (...args: never[]) => T): T {
  const { values } = must(arrays.get(key), `payload array ${key}`);
  if (!(values instanceof kind)) throw new Error(`bug: payload array ${key} has the wrong type`);
  return values;
}
