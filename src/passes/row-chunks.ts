/** @file Splits rows into chunks, so that no tensor grows with both the block and the SAE. */
import { CHUNK_SIZE } from "../plan/memory.js";

/** Chunks of `rows` rows of `width` numbers. */
export function rowChunks(rows: number, width: number): { readonly start: number; readonly count: number }[] {
  const most = Math.max(1, Math.floor(CHUNK_SIZE / width));
  return Array.from({ length: Math.ceil(rows / most) }, (_, i) => ({
    start: i * most,
    count: Math.min(most, rows - i * most),
  }));
}
