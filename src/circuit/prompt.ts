/** @file A tokenised prompt: a clean run, its corrupted twin where there is one, and the answers that the metric compares. */

/**
 * One kept row of a dataset. Clean and corrupted have the same token count; the answer position is the last token.
 * Answers have the same roles on both sides (REFERENCE 4).
 */
export interface Prompt {
  /** 1-based line in the dataset file. */
  readonly line: number;
  /** Token ids with BOS, `[T]`. */
  readonly clean: readonly number[];
  /** Token ids of the corrupted prompt, `[T]`; null for a plain dataset. */
  readonly corrupted: readonly number[] | null;
  /** Token id of the correct answer. */
  readonly correct: number;
  /** Token ids of the incorrect answers, at least one. */
  readonly incorrect: readonly number[];
}

/** Whether prompts have corrupted twins: those of one dataset all do, or none does. */
export function isPaired(prompts: readonly Prompt[]): boolean {
  return prompts.every(({ corrupted }) => corrupted !== null);
}

/** The two unintervened runs. */
export const SIDES = ["clean", "corrupted"] as const;
export type Side = (typeof SIDES)[number];

/** How several incorrect answers become one number: `m = reduce(logit[incorrect]) - logit[correct]`. */
export type MetricReduce = "max" | "sum";
