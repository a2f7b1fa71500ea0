/** @file A tokenised prompt: a clean run, its corrupted twin where there is one, and the answers that the metric compares. */
import { must } from "../base/assert.js";
import { counterparts, positionCount, type PromptSpan, tokenPositions } from "./span.js";

/**
 * One kept row of a dataset. Clean and corrupted have the same token count, unless the row has spans; the answer position is the last token.
 * Answers have the same roles on both sides (REFERENCE 4).
 */
export interface Prompt {
  /** 1-based line in the dataset file. */
  readonly line: number;
  /** Token ids with BOS, `[T]`. */
  readonly clean: readonly number[];
  /** Token ids of the corrupted prompt, `[T]`; null for a plain dataset. */
  readonly corrupted: readonly number[] | null;
  /** Where the spans stand that are the prompt's positions, in the order of the dataset's names for them; absent where its tokens are. */
  readonly spans?: readonly PromptSpan[];
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

/** Equal for prompts of the same tokens, answers and spans. */
export function promptKey({ clean, corrupted, correct, incorrect, spans }: Prompt): string {
  return JSON.stringify([clean, corrupted, correct, incorrect, ...(spans === undefined ? [] : [spans])]);
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

/** First token at which the corrupted run can differ from any clean one; the prompts' most tokens where it can in none. */
export function firstDifference(prompts: readonly Prompt[]): number {
  const firsts = prompts.map((prompt) => {
    const at = prompt.corrupted === null ? 0 : counterparts(prompt).findIndex((token) => token >= 0);
    return at < 0 ? prompt.clean.length : at;
  });
  return Math.min(...firsts);
}

/** The same as a position of tables: where prompts have spans, the first span. */
export function firstPosition(prompts: readonly Prompt[]): number {
  const firsts = prompts.map((prompt) => {
    const first = firstDifference([prompt]);
    return first >= prompt.clean.length ? positionCount(prompt) : must(tokenPositions(prompt, "clean")[first], "token");
  });
  return Math.min(...firsts);
}

/** The two unintervened runs. */
export const SIDES = ["clean", "corrupted"] as const;
/** One of the two unintervened runs. */
export type Side = (typeof SIDES)[number];

/** How several incorrect answers become one number: `m = reduce(logit[incorrect]) - logit[correct]`. */
export type MetricReduce = "max" | "sum";
