/** @file Prompts by their tokens and positions: a block holds prompts whose tokens have the same positions. */
import { must } from "../base/assert.js";
import type { Prompt } from "../nodes/prompt.js";
import { layoutKey, positionCount } from "../nodes/span.js";

/** Indexes of the prompts of each token count, lengths ascending, file order within. */
export function byLength(prompts: readonly Prompt[]): Map<number, number[]> {
  const groups = grouped(prompts.keys(), (i) => (prompts[i] as Prompt).clean.length);
  return new Map([...groups].sort(([a], [b]) => a - b));
}

/**
 * Prompts that are sorted among one another. All of a large dataset would have a little more in common, but each row more would then move
 * others into other blocks, and nothing of an earlier run could be reused.
 */
const SORTED_AT_ONCE = 1024;

/**
 * Indexes of the prompts whose tokens have the same positions: those of one length, and of one layout of spans where there are some. Within,
 * each {@link SORTED_AT_ONCE} are sorted by their tokens: neighbours have the longest beginnings in common, and what stands there is
 * computed once.
 */
export function byLayout(prompts: readonly Prompt[]): number[][] {
  const promptAt = (index: number): Prompt => must(prompts[index], "prompt");
  return [...byLength(prompts).values()].flatMap((members) =>
    [...grouped(members, (i) => layoutKey(promptAt(i))).values()].map((group) =>
      [...grouped(group.keys(), (place) => Math.floor(place / SORTED_AT_ONCE)).values()].flatMap((places) =>
        places
          .map((place) => must(group[place], "place"))
          .sort((a, b) => compareTokens(promptAt(a), promptAt(b)) || a - b),
      ),
    ),
  );
}

/** By clean tokens, then by corrupted ones. */
function compareTokens(a: Prompt, b: Prompt): number {
  return compareLists(a.clean, b.clean) || compareLists(a.corrupted ?? [], b.corrupted ?? []);
}

function compareLists(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((token, i) => token !== b[i]);
  return at < 0 ? a.length - b.length : must(a[at], "token") - (b[at] ?? -1);
}

function grouped<Key>(indexes: Iterable<number>, keyOf: (index: number) => Key): Map<Key, number[]> {
  const groups = new Map<Key, number[]>();
  for (const i of indexes) {
    const key = keyOf(i);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [i]);
    else group.push(i);
  }
  return groups;
}

/** How many positions the prompts have, without repeats, ascending. */
export function positionCounts(prompts: readonly Prompt[]): number[] {
  return [...new Set(prompts.map(positionCount))].sort((a, b) => a - b);
}

/** Tokens of the longest run of the prompts, of either side. */
export function mostTokens(prompts: readonly Prompt[]): number {
  return prompts.reduce((most, { clean, corrupted }) => Math.max(most, clean.length, corrupted?.length ?? 0), 0);
}
