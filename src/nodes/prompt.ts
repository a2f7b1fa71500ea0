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
  /** What the row shares with others that are not independent of it; only statistics read it. Absent where the row names none. */
  readonly cluster?: string;
}

/** What is computed with: a prompt without its cluster. */
export function withoutCluster({ cluster: _cluster, ...computed }: Prompt): Prompt {
  return computed;
}

/** Equal for prompts of the same tokens and answers. */
export function promptKey({ clean, corrupted, correct, incorrect }: Prompt): string {
  return JSON.stringify([clean, corrupted, correct, incorrect]);
}

/** How many prompts have the tokens and answers of an earlier one. */
export function countRepeats(prompts: readonly Prompt[]): number {
  return prompts.length - new Set(prompts.map(promptKey)).size;
}

/** How many clusters the prompts name. */
export function countClusters(prompts: readonly Prompt[]): number {
  return new Set(prompts.flatMap(({ cluster }) => cluster ?? [])).size;
}

/** Whether prompts have corrupted twins: those of one dataset all do, or none does. */
export function isPaired(prompts: readonly Prompt[]): boolean {
  return prompts.every(({ corrupted }) => corrupted !== null);
}

/** First position at which any clean prompt differs from its corrupted twin; the prompts' one length where none does. */
export function firstDifference(prompts: readonly Prompt[]): number {
  const firsts = prompts.map(({ clean, corrupted }) => {
    const at = clean.findIndex((id, t) => id !== corrupted?.[t]);
    return at < 0 ? clean.length : at;
  });
  return Math.min(...firsts);
}

/** The two unintervened runs. */
export const SIDES = ["clean", "corrupted"] as const;
/** One of the two unintervened runs. */
export type Side = (typeof SIDES)[number];

/** How several incorrect answers become one number: `m = reduce(logit[incorrect]) - logit[correct]`. */
export type MetricReduce = "max" | "sum";
