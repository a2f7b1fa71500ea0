/** @file How many prompts have each position: the divisor of every per-position mean. */
import { must } from "../base/assert.js";
import type { Plan } from "../plan/plan.js";

/** Token count of prompt `index`. */
export function lengthOf(plan: Plan, index: number): number {
  return must(plan.prompts[index], `prompt ${String(index)}`).clean.length;
}

/** Longest kept token count. */
export function longestLength(plan: Plan): number {
  return plan.prompts.reduce((longest, { clean }) => Math.max(longest, clean.length), 0);
}

/** For each position, the number of `prompts` that have it. */
export function countPositions(plan: Plan, prompts: Iterable<number>): Float64Array {
  const counts = new Float64Array(longestLength(plan));
  for (const prompt of prompts) {
    const length = lengthOf(plan, prompt);
    for (let t = 0; t < length; t++) counts[t] = must(counts[t], "count") + 1;
  }
  return counts;
}
