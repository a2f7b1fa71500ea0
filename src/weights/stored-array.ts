/** @file An array of a file before it is read: a backend may fetch its bytes by itself, past JavaScript. */
import type { Dtype } from "./named-array.js";

/** Where an array's bytes lie in a file, row-major and little-endian. */
export interface ArrayPlace {
  readonly path: string;
  readonly dtype: Dtype;
  /** Byte of the file. */
  readonly start: number;
  /** CRC-32 of the bytes from `start` of its own to the array's end. */
  readonly checksum?: { readonly start: number; readonly crc32: number };
}

/** An array of a file. */
export interface StoredArray {
  /** For messages. */
  readonly name: string;
  readonly shape: readonly number[];
  /** Null where the bytes have to be decoded first: compressed, or in another order. */
  readonly place: ArrayPlace | null;
  /**
   * Its values as float32, row-major.
   * @throws PatchbayError `bad_input` for a damaged file, `non_finite` for a NaN or infinity.
   */
  read(): Promise<Float32Array>;
}
