/** @file Which runs circuit evaluation puts together: (evaluation, side, prompt) rows in blocks. Pure: no tensors. */
import { assert } from "../base/assert.js";

/** Consecutive rows of one evaluation; its rows are all clean prompts, then all corrupted ones. */
export interface Segment {
  readonly evaluation: number;
  /** First row of the evaluation. */
  readonly start: number;
  readonly count: number;
}

/**
 * Cuts `evaluations` of `rows` rows each into blocks of at most `rowsPerBlock`. Evaluations stay whole where they fit, so
 * that every row of a block's segment shares one set of masks.
 */
export function circuitBlocks(evaluations: number, rows: number, rowsPerBlock: number): Segment[][] {
  assert(rowsPerBlock >= 1 && rows >= 1, `blocks of ${String(rowsPerBlock)} rows`);
  const together = Math.floor(rowsPerBlock / rows);
  const all = Array.from({ length: evaluations }, (_, evaluation) => evaluation);
  if (together >= 1) {
    return Array.from({ length: Math.ceil(evaluations / together) }, (_, block) =>
      all.slice(block * together, (block + 1) * together).map((evaluation) => ({ evaluation, start: 0, count: rows })),
    );
  }
  return all.flatMap((evaluation) =>
    Array.from({ length: Math.ceil(rows / rowsPerBlock) }, (_, part) => {
      const start = part * rowsPerBlock;
      return [{ evaluation, start, count: Math.min(rowsPerBlock, rows - start) }];
    }),
  );
}
