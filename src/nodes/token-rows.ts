/**
 * @file Rows of runs that are equal because the same tokens lead to them: what stands at a position depends on the tokens up to it only.
 * Pure: no tensors.
 */
import { must } from "../base/assert.js";

/** The distinct rows of sequences of one length: the nodes of the trie of their tokens. */
export interface TokenRows {
  /** Tokens of each sequence. */
  readonly T: number;
  /** The first flat row, `b * T + t`, of each distinct row, ascending. */
  readonly holders: Int32Array;
  /** The distinct row of each flat row, `[B x T]`. */
  readonly rowOf: Int32Array;
}

/** Above this share of the rows so few are equal that each is computed by itself. */
export const MOST_DISTINCT = 0.8;

/** A distinct row, and those that come after it by their token. */
type Branches = Map<number, { readonly row: number; readonly next: Branches }>;

/** The distinct rows of sequences of one length. */
export function tokenRows(sequences: readonly (readonly number[])[]): TokenRows {
  const T = must(sequences[0], "sequence").length;
  const rowOf = new Int32Array(sequences.length * T);
  const holders: number[] = [];
  const root: Branches = new Map();
  for (const [b, ids] of sequences.entries()) {
    let branches = root;
    for (const [t, token] of ids.entries()) {
      let found = branches.get(token);
      if (found === undefined) {
        found = { row: holders.length, next: new Map() };
        holders.push(b * T + t);
        branches.set(token, found);
      }
      rowOf[b * T + t] = found.row;
      branches = found.next;
    }
  }
  return { T, holders: Int32Array.from(holders), rowOf };
}

/** The same where enough rows are equal for it to pay; else null. */
export function sharedRows(sequences: readonly (readonly number[])[]): TokenRows | null {
  const rows = tokenRows(sequences);
  return rows.holders.length > MOST_DISTINCT * rows.rowOf.length ? null : rows;
}

/** Sequences that run as one batch; `rows` are null where each flat row is computed by itself. */
export interface TokenBatch {
  readonly ids: readonly (readonly number[])[];
  readonly rows: TokenRows | null;
}

/** How the sides of a block run. */
export interface SideBatches {
  readonly batches: readonly TokenBatch[];
  /** For each side its batch, and the first of its sequences there. */
  readonly places: readonly { readonly batch: number; readonly first: number }[];
}

/**
 * Sides of equal length run as one batch where enough of their rows are equal. Where not, each side is a batch of its own, so that equal
 * prompts on two sides pass through operations of equal shape, at equal rows, and give equal bits.
 *
 * @param sides token ids of each side's prompts; those of a side have one length.
 * @param share false computes every row by itself.
 */
export function sideBatches(sides: readonly (readonly (readonly number[])[])[], share = true): SideBatches {
  const lengths = new Set(sides.map((ids) => must(ids[0], "prompt").length));
  if (share && lengths.size === 1) {
    const ids = sides.flat();
    const rows = sharedRows(ids);
    if (rows !== null)
      return { batches: [{ ids, rows }], places: sides.map((side, i) => ({ batch: 0, first: i * side.length })) };
  }
  const own = (ids: readonly (readonly number[])[]): TokenRows | null =>
    share && lengths.size > 1 ? sharedRows(ids) : null;
  return {
    batches: sides.map((ids) => ({ ids, rows: own(ids) })),
    places: sides.map((_, batch) => ({ batch, first: 0 })),
  };
}

/** The row that holds each flat row of a batch, `[B x T]`. */
export function rowsOfBatch({ ids, rows }: TokenBatch): Int32Array {
  return rows?.rowOf ?? Int32Array.from({ length: ids.length * must(ids[0], "prompt").length }, (_, row) => row);
}

/** How many rows a batch computes. */
export function rowCount({ ids, rows }: TokenBatch): number {
  return rows?.holders.length ?? ids.length * must(ids[0], "prompt").length;
}
