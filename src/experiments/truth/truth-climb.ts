/**
 * @file Which positions the rows of a truth block carry through each layer. Pure: no tensors.
 *
 * 1. A row joins with the positions that it patches: nothing else differs from the clean run yet.
 * 2. Attention brings the difference to every later position; in the last layer only the answer's counts.
 */
import { joinOf, type TruthBlock, type TruthRow, type TruthSize } from "./truth-rows.js";

/** Consecutive positions. */
export interface Span {
  readonly start: number;
  readonly length: number;
}

/** The positions of a row that differ from the clean run. */
export interface Carried extends Span {
  readonly row: TruthRow;
  /** Flat row of the first of them. */
  readonly offset: number;
}

/** Rows that attend together: all leave their layer with the same span. */
export interface AttentionGroup {
  readonly span: Span;
  /** As they come from the layer below. */
  readonly members: readonly Carried[];
}

/** What happens in one layer. */
export interface ClimbStep {
  readonly layer: number;
  /** What comes from the layer below, by flat row. */
  readonly carried: readonly Carried[];
  /** All of it. */
  readonly groups: readonly AttentionGroup[];
  readonly joinAfterAttention: readonly Carried[];
  readonly joinAtEnd: readonly Carried[];
}

/** Most rows that attend together: their keys and values are gathered, and should stay in the processor's cache. */
const GROUP_ROWS = 128;

/** The layers of a block, and what leaves the last of them: the answer position of every row. */
export function climbOf(
  { rows }: TruthBlock,
  { positions, nLayers }: Pick<TruthSize, "positions" | "nLayers">,
): { readonly steps: readonly ClimbStep[]; readonly out: readonly Carried[] } {
  const joining = (join: number): Carried[] =>
    laid(rows.flatMap((row) => (joinOf(row.node) === join ? [{ row, start: row.start, length: row.length }] : [])));
  const steps: ClimbStep[] = [];
  let carried: readonly Carried[] = [];
  for (let layer = rows[0]?.node.layer ?? nLayers; layer < nLayers; layer++) {
    const groups = attentionGroups(carried, positions, layer === nLayers - 1);
    const [joinAfterAttention, joinAtEnd] = [joining(2 * layer), joining(2 * layer + 1)];
    steps.push({ layer, carried, groups, joinAfterAttention, joinAtEnd });
    const attended = groups.flatMap(({ span, members }) => members.map(({ row }) => ({ row, ...span })));
    carried = laid([...attended, ...joinAfterAttention, ...joinAtEnd]);
  }
  return { steps, out: carried };
}

/** Puts spans one after the other. */
function laid(spans: readonly (Span & { readonly row: TruthRow })[]): Carried[] {
  let offset = 0;
  return spans.map(({ row, start, length }) => {
    offset += length;
    return { row, start, length, offset: offset - length };
  });
}

/** Groups rows by what leaves attention: every position from their first on, or the answer. */
function attentionGroups(carried: readonly Carried[], positions: number, isLast: boolean): AttentionGroup[] {
  const byStart = new Map<number, Carried[]>();
  for (const one of carried) {
    const start = isLast ? positions - 1 : one.row.start;
    const same = byStart.get(start) ?? [];
    byStart.set(start, same);
    same.push(one);
  }
  return [...byStart].flatMap(([start, same]) =>
    Array.from({ length: Math.ceil(same.length / GROUP_ROWS) }, (_, i) => ({
      span: { start, length: positions - start },
      members: same.slice(i * GROUP_ROWS, (i + 1) * GROUP_ROWS),
    })),
  );
}

/** Flat rows that carried positions take. */
export function flatRows(carried: readonly Span[]): number {
  return carried.reduce((sum, { length }) => sum + length, 0);
}

/** `values` of each carried position, in flat order. */
export function eachCarried(
  carried: readonly Carried[],
  value: (row: TruthRow, position: number) => number,
): Int32Array {
  const values = new Int32Array(flatRows(carried));
  let flat = 0;
  for (const { row, start, length } of carried)
    for (let position = start; position < start + length; position++) values[flat++] = value(row, position);
  return values;
}

/** Where the carried positions lie in a table of whole prompts. */
export function carriedRows(carried: readonly Carried[], positions: number): Int32Array {
  return eachCarried(carried, ({ prompt }, position) => prompt * positions + position);
}

/**
 * Where the members' activations over a span lie in a table of the whole clean run (`[prompts x positions]`) followed by what
 * they carry.
 */
export function sources(
  members: readonly Carried[],
  span: Span,
  { prompts, positions }: Pick<TruthSize, "prompts" | "positions">,
): Int32Array {
  const index = new Int32Array(members.length * span.length);
  let flat = 0;
  for (const { row, start, length, offset } of members)
    for (let position = span.start; position < span.start + span.length; position++) {
      const differs = position >= start && position < start + length;
      index[flat++] = differs ? prompts * positions + offset + position - start : row.prompt * positions + position;
    }
  return index;
}
