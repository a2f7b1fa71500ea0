/** @file Prompts by their token counts: a block holds prompts of one length. */
import type { Prompt } from "../nodes/prompt.js";

/** Indexes of the prompts of each token count, lengths ascending, file order within. */
export function byLength(prompts: readonly Prompt[]): Map<number, number[]> {
  const groups = new Map<number, number[]>();
  prompts.forEach(({ clean }, i) => {
    const group = groups.get(clean.length);
    if (group === undefined) groups.set(clean.length, [i]);
    else group.push(i);
  });
  return new Map([...groups].sort(([a], [b]) => a - b));
}

/** Token counts of the prompts without repeats, ascending. */
export function lengthsOf(prompts: readonly Prompt[]): number[] {
  return [...byLength(prompts).keys()];
}
