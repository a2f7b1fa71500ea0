/** @file Where the rows of each side of a block lie among those that are computed: equal rows once. Pure: no tensors. */
import { must } from "../../base/assert.js";
import { isPaired, type Prompt, SIDES, type Side } from "../../nodes/prompt.js";
import { rowsOfBatch, sideBatches, type TokenBatch } from "../../nodes/token-rows.js";
import { alignedIndex, needsAlignment } from "../../passes/align-rows.js";
import { idsOf } from "../../passes/capture.js";
import { tokenPlaces, type TokenPlaces } from "./token-places.js";

/** One side of a block. */
export interface MeansSide {
  readonly side: Side;
  /** Where its tokens stand. */
  readonly places: TokenPlaces;
  /** The batch that runs it, and its first prompt there. */
  readonly batch: number;
  readonly first: number;
  /** The batch's row of each (prompt, token), `[P x T]`. */
  readonly rowOf: Int32Array;
}

/** Prompts, and what is run for their sides. */
export interface MeansBlock {
  readonly prompts: readonly Prompt[];
  readonly batches: readonly TokenBatch[];
  readonly sides: readonly MeansSide[];
  /** The pairs of rows between which features may differ, each once; none for a plain dataset. */
  readonly pairs: RowPairs;
}

/** Rows of clean runs, and those of their counterparts. */
export interface RowPairs {
  readonly clean: Int32Array;
  readonly corrupted: Int32Array;
  /** The token of each pair in the clean run. */
  readonly token: Int32Array;
}

/** The block of some prompts. @param share false computes equal rows once for each prompt and side. */
export function meansBlock(prompts: readonly Prompt[], share: boolean): MeansBlock {
  const names = isPaired(prompts) ? SIDES : SIDES.slice(0, 1);
  const ids = names.map((side) => idsOf(prompts, side));
  const { batches, places } = sideBatches(ids, share);
  const sides = names.map((side, i): MeansSide => {
    const { batch, first } = must(places[i], "place");
    const own = tokenPlaces(prompts, side);
    const rowOf = rowsOfBatch(must(batches[batch], "batch")).slice(first * own.T, (first + prompts.length) * own.T);
    return { side, places: own, batch, first, rowOf };
  });
  return { prompts, batches, sides, pairs: rowPairs(prompts, sides) };
}

function rowPairs(prompts: readonly Prompt[], [clean, corrupted]: readonly MeansSide[]): RowPairs {
  const found = { clean: [] as number[], corrupted: [] as number[], token: [] as number[] };
  if (clean !== undefined && corrupted !== undefined) {
    const index = needsAlignment(prompts) ? alignedIndex(prompts) : null;
    const all = clean.rowOf.length;
    const known = new Set<string>();
    for (const [flat, row] of clean.rowOf.entries()) {
      const twin = index === null ? flat : must(index[flat], "counterpart") - all;
      // A clean row that stands for itself differs in nothing, and so does one that both sides share.
      if (twin < 0) continue;
      const other = must(corrupted.rowOf[twin], "row");
      const pair = `${String(row)} ${String(other)}`;
      if ((clean.batch === corrupted.batch && row === other) || known.has(pair)) continue;
      known.add(pair);
      found.clean.push(row);
      found.corrupted.push(other);
      found.token.push(flat % clean.places.T);
    }
  }
  return {
    clean: Int32Array.from(found.clean),
    corrupted: Int32Array.from(found.corrupted),
    token: Int32Array.from(found.token),
  };
}
