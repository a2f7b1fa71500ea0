/**
 * @file Which patched runs true patching has to make, and in which blocks. Pure: no tensors.
 *
 * 1. A row is one prompt with one node patched. It is run only where it can differ from the clean run: its delta is not
 *    exactly zero, and in the last layer it reaches the answer position (nothing else does). The whole residual stream at
 *    all positions of the corrupted run is not run either: everything after it is that run.
 * 2. A row starts at its node's position (of a span, or of all positions at once: the first token that differs); earlier ones are clean.
 * 3. A row joins the batch in its node's layer, after attention (attn_z) or at the layer's end (all others)
 *    with what its patch makes of the layer's output.
 * 4. Rows are sorted by join: a block starts in its first row's layer, and grows as it moves up the layers.
 */
import { assert, must } from "../../base/assert.js";
import { NODE_KINDS } from "../../nodes/kinds.js";
import { GLOBAL_POSITION, type Node } from "../../nodes/node.js";
import { type Site, SITES } from "../../nodes/site.js";
import type { TokenRange } from "../../nodes/span.js";
import type { TruthDonor } from "../../plan/node-list.js";

/** One patched run. */
export interface TruthRow {
  /** Index into the slots. */
  readonly slot: number;
  /** Index into the prompts of this call. */
  readonly prompt: number;
  readonly node: Node;
  /** First token that differs from the clean run. */
  readonly start: number;
  /** Tokens that it patches, from there on. */
  readonly length: number;
}

/** Rows that run together: sorted by {@link joinOf}, then by what they patch. */
export interface TruthBlock {
  readonly rows: readonly TruthRow[];
}

/** Sizes that decide which rows exist. */
export interface TruthSize {
  readonly prompts: number;
  /** Tokens of every prompt. */
  readonly positions: number;
  /** The tokens of each of the prompts' spans, where these are what nodes call positions. */
  readonly spans?: readonly TokenRange[] | undefined;
  readonly nLayers: number;
}

/** Half of a layer in which a site's rows join: after attention, or at the layer's end. */
const HALVES: Readonly<Record<Site, 0 | 1>> = { attn_z: 0, mlp_post: 1, mlp_out: 1, resid_post: 1 };

/** Where a row joins: `2 * layer` after attention, `2 * layer + 1` at the layer's end. */
export function joinOf({ layer, site }: Node): number {
  return 2 * layer + HALVES[site];
}

/** A number that is equal for nodes whose deltas come from the same tensors. */
export function familyOf({ site, kind }: Node): number {
  return SITES.indexOf(site) * NODE_KINDS.length + NODE_KINDS.indexOf(kind);
}

/**
 * Whether the patched run ends as the corrupted run does, whatever the model: nothing but a residual stream leaves its layer. Where prompts
 * have spans, what is outside them stays clean.
 */
export function endsAsCorrupted({ kind, site, position }: Node, donor: TruthDonor, hasSpans: boolean): boolean {
  const isWhole = kind === "site" && site === "resid_post" && position === GLOBAL_POSITION;
  return donor === "corrupted" && !hasSpans && isWhole;
}

/** The tokens that a node patches, half-open. @throws Error where prompts have no such position. */
function tokensOf({ position }: Node, { positions, spans }: TruthSize): TokenRange {
  if (position === GLOBAL_POSITION) return [0, positions];
  return spans === undefined ? [position, position + 1] : must(spans[position], "span");
}

/**
 * The rows to run, by slot and prompt.
 * @param differs whether the slot's activation differs between the clean run and the donor in the flat row
 *   `prompt * positions + position`.
 */
export function truthRows(
  nodes: readonly (Node | null)[],
  size: TruthSize,
  differs: (slot: number, row: number) => boolean,
  donor: TruthDonor = "corrupted",
): TruthRow[] {
  const answer = size.positions - 1;
  const rows: TruthRow[] = [];
  for (const [slot, node] of nodes.entries()) {
    if (node === null || endsAsCorrupted(node, donor, size.spans !== undefined)) continue;
    const [first, end] = tokensOf(node, size);
    if (first > answer) continue;
    assert(node.layer < size.nLayers && first >= 0, `no such node in slot ${String(slot)}`);
    const isLast = node.layer === size.nLayers - 1;
    for (let prompt = 0; prompt < size.prompts; prompt++) {
      let start = isLast ? Math.max(first, answer) : first;
      while (start < end && !differs(slot, prompt * size.positions + start)) start += 1;
      if (start < end) rows.push({ slot, prompt, node, start, length: end - start });
    }
  }
  return rows;
}

/**
 * Cuts rows into as few blocks as hold them, of about the same number of carried positions each, at most `rowsPerBlock` rows of all
 * positions: a block's rows join at nearby layers, and climb the others together. The same rows always give the same blocks.
 */
export function truthBlocks(
  rows: readonly TruthRow[],
  { positions }: Pick<TruthSize, "positions">,
  rowsPerBlock: number,
): TruthBlock[] {
  assert(rowsPerBlock >= 1, `a block of ${String(rowsPerBlock)} rows`);
  const sorted = [...rows].sort(compareRows);
  const total = sorted.reduce((sum, { start }) => sum + positions - start, 0);
  // A block may begin up to a row's positions early.
  const count = Math.ceil(total / (rowsPerBlock * positions - positions + 1));
  const blocks: TruthRow[][] = [];
  let before = 0;
  let last = -1;
  for (const row of sorted) {
    const block = Math.floor((before * count) / total);
    if (block !== last) blocks.push([]);
    must(blocks[blocks.length - 1], "block").push(row);
    last = block;
    before += positions - row.start;
  }
  return blocks.map((rows) => ({ rows }));
}

/** By join, then by what is patched, so that rows of one family are neighbours. */
function compareRows(a: TruthRow, b: TruthRow): number {
  return (
    joinOf(a.node) - joinOf(b.node) ||
    familyOf(a.node) - familyOf(b.node) ||
    a.start - b.start ||
    a.slot - b.slot ||
    a.prompt - b.prompt
  );
}

/** Splits consecutive rows of one join by what they patch. */
export function families<Row extends { readonly row: TruthRow }>(rows: readonly Row[]): Row[][] {
  const groups: Row[][] = [];
  for (const one of rows) {
    const open = groups[groups.length - 1];
    if (open !== undefined && familyOf(must(open[0], "row").row.node) === familyOf(one.row.node)) open.push(one);
    else groups.push([one]);
  }
  return groups;
}
