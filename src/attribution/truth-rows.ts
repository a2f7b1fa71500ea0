/**
 * @file Which patched runs true patching has to make, and in which blocks. Pure: no tensors.
 *
 * 1. A row is one prompt with one node patched. It is run only where it can differ from the clean run: its delta is not
 *    exactly zero, and in the last layer it reaches the answer position (nothing else does).
 * 2. A row starts at its node's position (all positions at once: the first that differs); earlier positions are clean.
 * 3. A row joins the batch in its node's layer, after attention (attn_z) or at the layer's end (mlp_out, resid_post).
 * 4. Rows are sorted by start, then join: a block carries few positions, and grows as it moves up the layers.
 */
import { assert, must } from "../base/assert.js";
import { GLOBAL_POSITION, type Node } from "../circuit/node.js";
import { NODE_KINDS, SITES } from "../circuit/site.js";

/** One patched run. */
export interface TruthRow {
  /** Index into the slots. */
  readonly slot: number;
  /** Index into the prompts of this call. */
  readonly prompt: number;
  readonly node: Node;
  /** First position that differs from the clean run. */
  readonly start: number;
}

/** Rows that run together: sorted by {@link joinOf}, then by what they patch. */
export interface TruthBlock {
  /** First position that any of its rows carries. */
  readonly start: number;
  readonly rows: readonly TruthRow[];
}

/** Sizes that decide which rows exist. */
export interface TruthSize {
  readonly prompts: number;
  /** Tokens of every prompt. */
  readonly positions: number;
  readonly nLayers: number;
}

/** Where a row joins: `2 * layer` after attention, `2 * layer + 1` at the layer's end. */
export function joinOf({ layer, site }: Node): number {
  return 2 * layer + (site === "attn_z" ? 0 : 1);
}

/** A number that is equal for nodes whose deltas come from the same tensors. */
export function familyOf({ site, kind }: Node): number {
  return SITES.indexOf(site) * NODE_KINDS.length + NODE_KINDS.indexOf(kind);
}

/**
 * The rows to run, by slot and prompt.
 * @param differs whether the slot's activation differs between the clean and the corrupted run in the flat row
 *   `prompt * positions + position`.
 */
export function truthRows(
  nodes: readonly (Node | null)[],
  size: TruthSize,
  differs: (slot: number, row: number) => boolean,
): TruthRow[] {
  const answer = size.positions - 1;
  const rows: TruthRow[] = [];
  for (const [slot, node] of nodes.entries()) {
    if (node === null || node.position > answer) continue;
    assert(node.layer < size.nLayers && node.position >= GLOBAL_POSITION, `no such node in slot ${String(slot)}`);
    const isLast = node.layer === size.nLayers - 1;
    const first = node.position === GLOBAL_POSITION ? 0 : node.position;
    const last = node.position === GLOBAL_POSITION ? answer : node.position;
    for (let prompt = 0; prompt < size.prompts; prompt++) {
      let start = isLast ? Math.max(first, answer) : first;
      while (start <= last && !differs(slot, prompt * size.positions + start)) start += 1;
      if (start <= last) rows.push({ slot, prompt, node, start });
    }
  }
  return rows;
}

/** Rows of one start that fill less of a block than this share it with the next start, and carry its rows from theirs on. */
const FULL_ENOUGH = 0.25;

/**
 * Cuts rows into blocks of at most `rowsPerBlock`, so that few rows carry positions that they do not need: rows of one start
 * stay by themselves, in blocks of about the same size. The same rows always give the same blocks.
 */
export function truthBlocks(rows: readonly TruthRow[], rowsPerBlock: number): TruthBlock[] {
  assert(rowsPerBlock >= 1, `a block of ${String(rowsPerBlock)} rows`);
  const sorted = [...rows].sort((a, b) => a.start - b.start || compareJoins(a, b));
  const blocks: TruthBlock[] = [];
  let members: TruthRow[] = [];
  for (const [i, row] of sorted.entries()) {
    members.push(row);
    const next = sorted[i + 1];
    if (next === undefined || (next.start > row.start && members.length >= rowsPerBlock * FULL_ENOUGH)) {
      blocks.push(...evenBlocks(members, rowsPerBlock));
      members = [];
    }
  }
  return blocks;
}

/** As few blocks as hold the rows, sizes at most one apart. */
function evenBlocks(rows: readonly TruthRow[], rowsPerBlock: number): TruthBlock[] {
  const count = Math.ceil(rows.length / rowsPerBlock);
  return Array.from({ length: count }, (_, i) => {
    const part = rows.slice(Math.floor((i * rows.length) / count), Math.floor(((i + 1) * rows.length) / count));
    return { start: must(part[0], "row").start, rows: part.sort(compareJoins) };
  });
}

function compareJoins(a: TruthRow, b: TruthRow): number {
  return (
    joinOf(a.node) - joinOf(b.node) || familyOf(a.node) - familyOf(b.node) || a.slot - b.slot || a.prompt - b.prompt
  );
}

/** Splits consecutive rows of one join by what they patch. */
export function families(rows: readonly TruthRow[]): TruthRow[][] {
  const groups: TruthRow[][] = [];
  for (const row of rows) {
    const open = groups[groups.length - 1];
    if (open !== undefined && familyOf(must(open[0], "row").node) === familyOf(row.node)) open.push(row);
    else groups.push([row]);
  }
  return groups;
}
