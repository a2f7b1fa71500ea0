/** @file Random prompts with beginnings in common, for tests of rows that are computed once. */
import type { Rng } from "../../src/base/rng.js";
import type { Prompt } from "../../src/nodes/prompt.js";

/** Tokens that prompts begin with, and go on with. Few, so that beginnings are equal. */
const BOS = 1;
const WORDS = [5, 9, 14];
const [CORRECT, INCORRECT] = [7, 11];

function words(rng: Rng, count: number): number[] {
  return Array.from({ length: count }, () => WORDS[rng.int(WORDS.length)] ?? BOS);
}

/** Prompts of `length` tokens; pairs, or a plain dataset. */
export function sharedPrompts(rng: Rng, count: number, length: number, paired = true): Prompt[] {
  const tokens = (): number[] => [BOS, ...words(rng, length - 1)];
  return Array.from({ length: count }, (_, i) => ({
    line: i + 1,
    clean: tokens(),
    corrupted: paired ? tokens() : null,
    correct: CORRECT,
    incorrect: [INCORRECT],
  }));
}

/** Pairs of two spans whose first has two tokens in the clean run and one in the corrupted one, behind a token outside of both. */
export function sharedSpanPrompts(rng: Rng, count: number): Prompt[] {
  const spans = [
    { clean: [1, 3], corrupted: [1, 2] },
    { clean: [3, 5], corrupted: [2, 4] },
  ] as const;
  return Array.from({ length: count }, (_, i) => ({
    line: i + 1,
    clean: [BOS, ...words(rng, 5)],
    corrupted: [BOS, ...words(rng, 4)],
    spans,
    correct: CORRECT,
    incorrect: [INCORRECT],
  }));
}
