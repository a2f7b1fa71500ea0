/** @file How many prompts have each position: the divisor of every per-position mean. */
import { must } from "../base/assert.js";
import { positionCount } from "../nodes/span.js";
import type { Plan } from "../plan/plan.js";

/** How many positions prompt `index` has: its tokens, or its spans. */
export function lengthOf(plan: Plan, index: number): number {
  return positionCount(must(plan.prompts[index], `prompt ${String(index)}`));
}

/** The most positions that a kept prompt has. */
export function longestLength(plan: Plan): number {
  return plan.prompts.reduce((longest, prompt) => Math.max(longest, positionCount(prompt)), 0);
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
