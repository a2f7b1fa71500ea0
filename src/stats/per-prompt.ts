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

/** Weighted Pearson correlations of score and effect over some nodes, prompt by prompt. */
export function perPromptPearson(
  truth: PromptMatrix,
  score: PromptMatrix,
  weights: Float64Array,
  members: readonly number[],
): PerPrompt {
  const correlations = Float64Array.from({ length: truth.prompts }, (_, p) => {
    const here = members.filter((n) => truth.present?.[p * truth.nodes + n] !== 0);
    const pick = (values: Float64Array): Float64Array =>
      Float64Array.from(here, (n) => values[p * truth.nodes + n] as number);
    return pearson(
      pick(score.values),
      pick(truth.values),
      Float64Array.from(here, (n) => weights[n] as number),
    );
  })
    .filter(Number.isFinite)
    .sort();
  const at = (q: number): number | null => (correlations.length === 0 ? null : quantileSorted(correlations, q));
  return { prompts: correlations.length, median: at(0.5), p5: at(0.05), p95: at(0.95) };
}
