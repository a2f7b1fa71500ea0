/** @file Which words a noun likes to come with: so that the model has to carry the noun's identity, not its number alone. */
import { createRng } from "../../src/base/rng.js";
import type { Noun } from "./words.js";

/** Part of the language, like the words themselves: not a seed of the build. */
const LANGUAGE_SEED = 1;

/** How fast a preference falls from a noun's favourite to its next. */
const EXPONENT = 2.5;

const cache = new Map<string, readonly number[]>();

/**
 * Weights of the words for the noun, in their order: each noun has its own order of preference, and the word in place k
 * (from 1) has weight `k ** -2.5`.
 */
export function preferences(noun: Noun, words: readonly string[]): readonly number[] {
  const key = [noun.singular, ...words].join(" ");
  const known = cache.get(key);
  if (known !== undefined) return known;
  const order = createRng(LANGUAGE_SEED, "preferences", key).shuffle(words);
  const weights = words.map((word) => (order.indexOf(word) + 1) ** -EXPONENT);
  cache.set(key, weights);
  return weights;
}
