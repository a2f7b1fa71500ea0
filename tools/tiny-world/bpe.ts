/**
 * @file Byte-pair merges under which each listed word becomes one token.
 *
 * 1. Split every word into characters.
 * 2. Merge the most frequent adjacent pair everywhere (ties: the pair that sorts first), and record it.
 * 3. Repeat until every word is one symbol.
 *
 * Source: Sennrich et al., arXiv 1508.07909, algorithm 1, with every word counted once.
 */
import { must } from "../../src/base/assert.js";

/** Two symbols that become one. */
export type Merge = readonly [left: string, right: string];

/** Learns the merges, in order of application. */
export function learnMerges(words: readonly string[]): Merge[] {
  let split = [...new Set(words)].map((word) => Array.from(word));
  const merges: Merge[] = [];
  for (;;) {
    const pair = mostFrequentPair(split);
    if (pair === null) return merges;
    merges.push(pair);
    split = split.map((symbols) => applyMerge(symbols, pair));
  }
}

/** Replaces each occurrence of the pair, from the left. */
export function applyMerge(symbols: readonly string[], [left, right]: Merge): string[] {
  const merged: string[] = [];
  for (let i = 0; i < symbols.length; i++) {
    const joins = symbols[i] === left && symbols[i + 1] === right;
    merged.push(joins ? left + right : must(symbols[i], "symbol"));
    if (joins) i++;
  }
  return merged;
}

function mostFrequentPair(split: readonly (readonly string[])[]): Merge | null {
  const counts = new Map<string, { readonly pair: Merge; count: number }>();
  for (const symbols of split) {
    for (let i = 0; i + 1 < symbols.length; i++) {
      const pair: Merge = [must(symbols[i], "left symbol"), must(symbols[i + 1], "right symbol")];
      const key = pair.join("\u0000");
      const entry = counts.get(key) ?? { pair, count: 0 };
      entry.count++;
      counts.set(key, entry);
    }
  }
  const ordered = [...counts].sort(([a, x], [b, y]) => y.count - x.count || (a < b ? -1 : 1));
  return ordered[0]?.[1].pair ?? null;
}
