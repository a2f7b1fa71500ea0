/** @file What became of a dataset's rows, for the first line of a run and of an estimate. */
import { counted } from "../base/counted.js";
import { countClusters, countRepeats } from "../nodes/prompt.js";
import { countSharedClusters, evaluatedPrompts, selectionPrompts } from "../plan/held-out.js";
import { countSharedTexts } from "../plan/shared-texts.js";
import type { PlannedRun } from "../plan/make-plan.js";

/** Rows that choose nodes and means for others. */
interface HeldOutCounts {
  readonly select: number;
  /** Clusters of the evaluated rows that these have too. */
  readonly shared: number;
  /** Evaluated rows with the tokens of one of these, and other answers or exchanged sides. */
  readonly sameTexts: number;
}

/** How many rows were kept, and what they are like. */
export interface PromptCounts {
  readonly kept: number;
  readonly dropped: number;
  /** Prompts with the tokens and answers of an earlier one. */
  readonly repeated: number;
  /** Clusters that the rows name. */
  readonly clusters: number;
  /** Where other rows choose. */
  readonly heldOut?: HeldOutCounts;
}

/** Counts the rows of a planned run. */
export function promptCounts({ plan, dropped }: Pick<PlannedRun, "plan" | "dropped">): PromptCounts {
  const prompts = evaluatedPrompts(plan);
  return {
    kept: prompts.length,
    dropped: dropped.length,
    repeated: countRepeats(prompts),
    clusters: countClusters(prompts),
    ...(plan.evaluated === undefined
      ? {}
      : {
          heldOut: {
            select: selectionPrompts(plan).length,
            shared: countSharedClusters(plan),
            sameTexts: countSharedTexts(plan),
          },
        }),
  };
}

/** `200 prompts of 30 clusters (4 rows dropped, see artifacts/dropped.jsonl; 2 prompts repeat an earlier one)`. */
export function promptsText({ kept, dropped, repeated, clusters, heldOut }: PromptCounts): string {
  const of = clusters === 0 ? "" : ` of ${counted(clusters, "cluster")}`;
  const notes = [
    ...(heldOut === undefined ? [] : [heldOutText(heldOut)]),
    ...(dropped === 0 ? [] : [`${counted(dropped, "row")} dropped, see artifacts/dropped.jsonl`]),
    ...(repeated === 0
      ? []
      : [`${String(repeated)} repeat${repeated === 1 ? "s" : ""} the tokens and answers of an earlier one`]),
  ];
  return `${counted(kept, "prompt")}${of}${notes.length === 0 ? "" : ` (${notes.join("; ")})`}`;
}

function heldOutText({ select, shared, sameTexts }: HeldOutCounts): string {
  const [chooses, have] = select === 1 ? ["other chooses", "has"] : ["others choose", "have"];
  const known = shared === 0 ? "" : `, which ${have} ${String(shared)} of these clusters too`;
  const texts =
    sameTexts === 0 ? "" : `; ${String(sameTexts)} ${sameTexts === 1 ? "has" : "have"} the texts of one that chooses`;
  return `${String(select)} ${chooses} nodes and means${known}${texts}`;
}
