/**
 * @file Donors of resample ablation: which unablated runs the ablated nodes of each prompt take their activations from.
 *
 * 1. The prompts of each length form a random cycle; the next in the cycle is a prompt's donor, so none is its own.
 * 2. In every second pair of a random order the donor's runs are for the other answer than the pair's own, in the rest for the
 *    same one. Half of the ablated rows then lean to either answer, also on data of one direction. If all took donors of their own
 *    side there, the empty circuit would keep the full model's metric, and nothing would be left to recover.
 * 3. In the next draw the two halves change places.
 *
 * A plain dataset has one side: its donors are other clean prompts.
 */
import { createRng } from "../base/rng.js";
import { must } from "../base/assert.js";
import { isPaired, type Prompt } from "../nodes/prompt.js";
import { byLength } from "./prompt-lengths.js";

/** Times that donors are drawn. The metric of a row is its mean over them. */
export const DRAWS = 5;

/** One draw of donors. */
export interface Donors {
  /** For each prompt the index of its donor. */
  readonly donors: readonly number[];
  /** For each prompt whether its clean row takes the donor's corrupted run, and its corrupted row the donor's clean run. */
  readonly exchanged: readonly boolean[];
}

/**
 * Draws donors of the same token count. They depend on the prompts, the seed and the draw alone.
 * @returns the draw, or the token count of a length that has one prompt only.
 */
export function resampleDonors(prompts: readonly Prompt[], seed: number, draw = 0): Donors | { loneLength: number } {
  const donors = new Array<number>(prompts.length).fill(0);
  const exchanged = new Array<boolean>(prompts.length).fill(false);
  for (const [length, members] of byLength(prompts)) {
    if (members.length < 2) return { loneLength: length };
    const cycle = createRng(seed, "resample", length, draw).shuffle(members);
    cycle.forEach((prompt, i) => (donors[prompt] = must(cycle[(i + 1) % cycle.length], "donor")));
    if (!isPaired(prompts)) continue;
    const order = createRng(seed, "resample sides", length).shuffle(members);
    order.forEach((prompt, i) => {
      const opposed = (i + draw) % 2 === 1;
      const [own, donor] = [must(prompts[prompt], "prompt"), must(prompts[must(donors[prompt], "donor")], "donor")];
      exchanged[prompt] = opposed !== isReversed(own, donor);
    });
  }
  return { donors, exchanged };
}

/** The prompt's donor in a draw, its sides as the prompt's rows take them. */
export function donorOf(prompts: readonly Prompt[], { donors, exchanged }: Donors, prompt: number): Prompt {
  const donor = must(prompts[must(donors[prompt], "donor")], "donor prompt");
  if (exchanged[prompt] !== true) return donor;
  return { ...donor, clean: must(donor.corrupted ?? undefined, "corrupted run"), corrupted: donor.clean };
}

/** Whether the donor's clean run is for what is the wrong answer here. Of other answers nothing is known: sides decide. */
function isReversed(own: Prompt, donor: Prompt): boolean {
  return own.incorrect.includes(donor.correct);
}
