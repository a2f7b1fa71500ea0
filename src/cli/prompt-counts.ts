/** @file What became of a dataset's rows, for the first line of a run and of an estimate. */
import { countClusters, countRepeats } from "../nodes/prompt.js";
import type { PlannedRun } from "../plan/make-plan.js";

/** How many rows were kept, and what they are like. */
export interface PromptCounts {
  readonly kept: number;
  readonly dropped: number;
  /** Prompts with the tokens and answers of an earlier one. */
  readonly repeated: number;
  /** Clusters that the rows name. */
  readonly clusters: number;
}

/** Counts the rows of a planned run. */
export function promptCounts({ plan: { prompts }, dropped }: Pick<PlannedRun, "plan" | "dropped">): PromptCounts {
  return {
    kept: prompts.length,
    dropped: dropped.length,
    repeated: countRepeats(prompts),
    clusters: countClusters(prompts),
  };
}

/** `200 prompts of 30 clusters (4 rows dropped, see artifacts/dropped.jsonl; 2 prompts repeat an earlier one)`. */
export function promptsText({ kept, dropped, repeated, clusters }: PromptCounts): string {
  const of = clusters === 0 ? "" : ` of ${String(clusters)} cluster${clusters === 1 ? "" : "s"}`;
  const notes = [
    ...(dropped === 0 ? [] : [`${String(dropped)} rows dropped, see artifacts/dropped.jsonl`]),
    ...(repeated === 0 ? [] : [`${String(repeated)} repeat the tokens and answers of an earlier one`]),
  ];
  return `${String(kept)} prompts${of}${notes.length === 0 ? "" : ` (${notes.join("; ")})`}`;
}
