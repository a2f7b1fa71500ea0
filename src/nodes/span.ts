/**
 * @file Named spans of a pair's prompts. In a dataset whose rows have spans, a position is a span: the same words of the clean and of the
 * corrupted prompt, which may be other tokens, and of another number.
 *
 * 1. A span is a range of tokens in each prompt. Spans follow one another in the text, and the last one holds the last token.
 * 2. A clean token of a span has its counterpart in the corrupted prompt's span: both spans are laid side by side at their right ends, where
 *    attention has brought together what stands before.
 * 3. A clean token without a counterpart stays as it is: one outside every span, or one of a span that is shorter in the corrupted prompt.
 *    Corrupted tokens without a counterpart are left out.
 * 4. Tokens of the beginning that both prompts share are no counterparts either: no run can differ there.
 */
import { must } from "../base/assert.js";

/** Half-open range of a prompt's tokens. */
export type TokenRange = readonly [start: number, end: number];

/** Where a span stands in both prompts of a pair. */
export interface PromptSpan {
  readonly clean: TokenRange;
  readonly corrupted: TokenRange;
}

/** The tokens of a prompt, and its spans where its dataset has some. */
export interface SpannedTokens {
  readonly clean: readonly number[];
  readonly corrupted: readonly number[] | null;
  readonly spans?: readonly PromptSpan[];
}

/** The span of the last token, where a row does not name one that holds it. */
export const ANSWER_SPAN = "answer";

/** What has no counterpart, or no position. */
const NONE = -1;

/** How many positions a prompt has: its tokens, or its spans. */
export function positionCount({ clean, spans }: SpannedTokens): number {
  return spans?.length ?? clean.length;
}

/** The position of each token of one side, `[T]`; below 0 outside every span. */
export function tokenPositions({ clean, corrupted, spans }: SpannedTokens, side: "clean" | "corrupted"): Int32Array {
  const tokens = must((side === "clean" ? clean : corrupted) ?? undefined, side).length;
  if (spans === undefined) return Int32Array.from({ length: tokens }, (_, t) => t);
  const positions = new Int32Array(tokens).fill(NONE);
  spans.forEach((span, position) => positions.fill(position, ...span[side]));
  return positions;
}

/** Values of positions, `[positions, width]`, as those of their tokens, 0 where a token has none, `[T, width]`. */
export function valuesByToken(values: Float32Array, positionOf: Int32Array, width: number): Float32Array {
  const byToken = new Float32Array(positionOf.length * width);
  positionOf.forEach((position, t) => {
    if (position >= 0) byToken.set(values.subarray(position * width, (position + 1) * width), t * width);
  });
  return byToken;
}

/** The corrupted token in the place of each clean one, `[T]`; below 0 where there is none, and the clean run stays as it is. */
export function counterparts({ clean, corrupted, spans }: SpannedTokens): Int32Array {
  const own = must(corrupted ?? undefined, "corrupted prompt");
  const found = new Int32Array(clean.length).fill(NONE);
  const differs = clean.findIndex((id, t) => id !== own[t]);
  const shared = differs < 0 ? clean.length : differs;
  for (const { clean: here, corrupted: there } of spans ?? [{ clean: [0, clean.length], corrupted: [0, own.length] }])
    for (let back = 1; back <= Math.min(here[1] - here[0], there[1] - there[0]); back++) {
      const [at, from] = [here[1] - back, there[1] - back];
      if (at !== from || at >= shared) found[at] = from;
    }
  return found;
}

/** Equal for prompts whose tokens have the same positions: such prompts run together. */
export function layoutKey({ clean, corrupted, spans }: SpannedTokens): string {
  return JSON.stringify([clean.length, ...(spans === undefined ? [] : [corrupted?.length, spans])]);
}
