/** @file Donors of resample ablation: another kept prompt of the same length, by a seeded permutation without fixed points. */
import { createRng } from "../base/rng.js";
import { must } from "../base/assert.js";
import type { Prompt } from "../circuit/prompt.js";
import { byLength } from "./prompt-lengths.js";

/**
 * For each prompt the index of its donor. Each length's prompts form one random cycle, so no prompt is its own donor.
 * @returns the donors, or the token count of a length that has one prompt only.
 */
export function resampleDonors(
  prompts: readonly Prompt[],
  seed: number,
): { donors: number[] } | { loneLength: number } {
  const donors = new Array<number>(prompts.length).fill(0);
  for (const [length, members] of byLength(prompts)) {
    if (members.length < 2) return { loneLength: length };
    const cycle = createRng(seed, "resample", length).shuffle(members);
    cycle.forEach((prompt, i) => (donors[prompt] = must(cycle[(i + 1) % cycle.length], "donor")));
  }
  return { donors };
}
