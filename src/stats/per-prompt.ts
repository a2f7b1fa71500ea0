/** @file Whether scores agree with effects on single prompts, or in the mean over prompts only. */
import { quantileSorted } from "./bootstrap.js";
import { pearson } from "./correlation.js";
import type { PromptMatrix } from "./clusters.js";

/** Correlations over nodes, one for each prompt. */
export interface PerPrompt {
  /** Prompts whose correlation is defined. */
  readonly prompts: number;
  readonly median: number | null;
  /** The 5th and the 95th percentile over prompts: a spread, not an interval of an estimate. */
  readonly p5: number | null;
  readonly p95: number | null;
}

/**
 * Weighted Pearson correlations of score and effect over some nodes, prompt by prompt, `[P]`; NaN where undefined.
 * @param weights - by node, `[N]`.
 */
export function perPromptPearson(
  truth: PromptMatrix,
  score: PromptMatrix,
  weights: Float64Array,
  members: readonly number[],
): Float64Array {
  const [effects, scores] = [new Float64Array(members.length), new Float64Array(members.length)];
  const own = new Float64Array(members.length);
  return Float64Array.from({ length: truth.prompts }, (_, p) => {
    let count = 0;
    for (const n of members) {
      const at = p * truth.nodes + n;
      if (truth.present?.[at] === 0) continue;
      scores[count] = score.values[at] as number;
      effects[count] = truth.values[at] as number;
      own[count++] = weights[n] as number;
    }
    return pearson(scores.subarray(0, count), effects.subarray(0, count), own.subarray(0, count));
  });
}

/** The spread of correlations over prompts. */
export function perPromptSpread(correlations: Float64Array): PerPrompt {
  const sorted = correlations.filter(Number.isFinite).sort();
  const at = (q: number): number | null => (sorted.length === 0 ? null : quantileSorted(sorted, q));
  return { prompts: sorted.length, median: at(0.5), p5: at(0.05), p95: at(0.95) };
}
