/**
 * @file Which rows of a block are computed: of each evaluation, one for the rows (side, prompt) that the same tokens lead to, at each position.
 * An intervention and what it sets nodes to are the same for all of them. Pure: no tensors.
 */
import { must } from "../../base/assert.js";
import { MOST_DISTINCT, type TokenRows } from "../../nodes/token-rows.js";
import type { Segment } from "./circuit-rows.js";
import type { Span } from "./circuit-site-work.js";

/** The computed rows of a segment over a span of positions. */
export interface SegmentRows {
  readonly count: number;
  /** Which they are; null where they are all, prompt after prompt, each with the span's positions. */
  readonly distinct: DistinctRows | null;
}

/** Rows among those of a segment. */
export interface DistinctRows {
  /** Each row's place among the segment's flat rows, `row * span + position`, ascending. */
  readonly flat: Int32Array;
  /** Its position within the span. */
  readonly position: Int32Array;
}

/** The computed rows of a block over a span of positions. */
export interface BlockRows {
  readonly span: Span;
  readonly segments: readonly SegmentRows[];
  /** Among the flat rows of the block; null where all are computed. */
  readonly shared: TokenRows | null;
}

/** @param trie of all rows of an evaluation, whole prompts; null computes every row. */
export function blockRows(trie: TokenRows | null, segments: readonly Segment[], span: Span): BlockRows {
  const whole = segments.map(({ count }): SegmentRows => ({ count: count * span.length, distinct: null }));
  if (trie === null) return { span, segments: whole, shared: null };
  const all = whole.reduce((sum, { count }) => sum + count, 0);
  const [rowOf, holders] = [new Int32Array(all), [] as number[]];
  let offset = 0;
  const distinct = segments.map((segment, i): SegmentRows => {
    const found = distinctRows(trie, segment, span);
    for (const [flat, row] of found.rowOf.entries()) rowOf[offset + flat] = holders.length + row;
    for (const flat of found.distinct.flat) holders.push(offset + flat);
    offset += must(whole[i], "segment").count;
    return { count: found.distinct.flat.length, distinct: found.distinct };
  });
  if (holders.length > MOST_DISTINCT * all) return { span, segments: whole, shared: null };
  return { span, segments: distinct, shared: { T: span.length, holders: Int32Array.from(holders), rowOf } };
}

function distinctRows(
  trie: TokenRows,
  { start, count }: Segment,
  span: Span,
): { readonly rowOf: Int32Array; readonly distinct: DistinctRows } {
  const known = new Map<number, number>();
  const rowOf = new Int32Array(count * span.length);
  const flat: number[] = [];
  for (let i = 0; i < rowOf.length; i++) {
    const row = trie.rowOf[(start + Math.floor(i / span.length)) * trie.T + span.start + (i % span.length)] as number;
    const before = known.get(row);
    rowOf[i] = before ?? flat.length;
    if (before !== undefined) continue;
    known.set(row, flat.length);
    flat.push(i);
  }
  const position = Int32Array.from(flat, (i) => i % span.length);
  return { rowOf, distinct: { flat: Int32Array.from(flat), position } };
}
