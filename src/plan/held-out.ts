/**
 * @file Held-out rows. A sweep may name two datasets: rows that choose (nodes by their scores, the frame that features are drawn from, means
 * that nodes are ablated to) and rows that everything said of effects and circuits is measured on. A plan holds those that are evaluated
 * first. Where a sweep names one dataset, its rows do both.
 */
import { isPaired, type Prompt, promptKey } from "../nodes/prompt.js";
import type { SweepSource } from "../sweep/read-sweep.js";
import { rowsOf } from "../sweep/sweep.js";
import type { Plan } from "./plan.js";
import { positionCounts } from "./prompt-lengths.js";
import { promptBlocks } from "./stages.js";

/** The prompts of a plan, and how many of them are evaluated. */
type Rows = Pick<Plan, "prompts" | "evaluated">;

/**
 * Passes where held-out rows can be evaluated with what the others choose.
 * @throws PatchbayError `bad_input` where the two are of different kinds, share a row, or where a prompt has positions without means.
 */
export function checkHeldOut({ sweep, fault }: SweepSource, rows: Rows): void {
  const [evaluated, chosen] = [evaluatedPrompts(rows), selectionPrompts(rows)];
  const [own, select] = rowsOf(sweep);
  if ((own.chat ?? false) !== (select?.chat ?? false))
    throw fault(
      ["dataset"],
      "one of `select` and `evaluate` is rendered as a chat and the other is not: the same tokens stand elsewhere in them; set `chat` alike in both",
    );
  if (isPaired(evaluated) !== isPaired(chosen))
    throw fault(
      ["dataset"],
      "one of `select` and `evaluate` has pairs and the other plain prompts; use rows of one kind",
    );
  const known = new Map(chosen.map((prompt) => [promptKey(prompt), prompt.line]));
  const shared = evaluated.filter((prompt) => known.has(promptKey(prompt)));
  const [first] = shared;
  if (first !== undefined)
    throw fault(
      ["dataset", "evaluate"],
      `${String(shared.length)} of its rows ${shared.length === 1 ? "is a row" : "are rows"} of \`select\` too, the first in line ${String(first.line)} (line ${String(known.get(promptKey(first)))} there): they are not held out; take them out of one`,
    );
  const longest = (prompts: readonly Prompt[]): number => Math.max(...positionCounts(prompts));
  if (longest(evaluated) > longest(chosen))
    throw fault(
      ["dataset", "evaluate"],
      `has a prompt of ${String(longest(evaluated))} tokens, and the longest of \`select\` has ${String(longest(chosen))}: there is no mean at the positions behind; add longer rows to \`select\``,
    );
}

/** What a prompt is for. */
export type PromptUse = "select" | "evaluate" | "both";

/** Prompts that effects and circuits are measured on. Their indexes are those in the plan. */
export function evaluatedPrompts({ prompts, evaluated }: Rows): readonly Prompt[] {
  return evaluated === undefined ? prompts : prompts.slice(0, evaluated);
}

/** Prompts that choose nodes and means. */
export function selectionPrompts({ prompts, evaluated = 0 }: Rows): readonly Prompt[] {
  return prompts.slice(evaluated);
}

/** Indexes of those in the plan. */
export function selectionIndexes({ prompts, evaluated = 0 }: Rows): number[] {
  return Array.from({ length: prompts.length - evaluated }, (_, i) => evaluated + i);
}

/** What prompt `index` is for. */
export function promptUse({ evaluated }: Rows, index: number): PromptUse {
  if (evaluated === undefined) return "both";
  return index < evaluated ? "evaluate" : "select";
}

/** Blocks of prompts that run together, and which of them are for what: half-open ranges. No block mixes uses. */
export interface PromptBlocks {
  readonly list: readonly (readonly number[])[];
  readonly all: BlockRange;
  readonly select: BlockRange;
  readonly evaluate: BlockRange;
}

type BlockRange = readonly [start: number, end: number];

/** Cuts a plan's prompts into blocks of at most `size`. */
export function blocksByUse(rows: Rows, size: number): PromptBlocks {
  const evaluate = promptBlocks(evaluatedPrompts(rows), size);
  const all: BlockRange = [0, evaluate.length];
  if (rows.evaluated === undefined) return { list: evaluate, all, select: all, evaluate: all };
  const first = rows.evaluated;
  const select = promptBlocks(selectionPrompts(rows), size).map((block) => block.map((index) => index + first));
  const list = [...evaluate, ...select];
  return { list, all: [0, list.length], select: [evaluate.length, list.length], evaluate: all };
}

/** How many clusters of the evaluated rows are among those of the rows that chose. */
export function countSharedClusters(rows: Rows): number {
  const chose = new Set(selectionPrompts(rows).flatMap(({ cluster }) => cluster ?? []));
  return new Set(
    evaluatedPrompts(rows).flatMap(({ cluster }) => (cluster !== undefined && chose.has(cluster) ? [cluster] : [])),
  ).size;
}

/** How many positions prompts have, tokens or spans: which a sweep may name. */
export interface TokenCounts {
  /** The most among the evaluated prompts. */
  readonly longest: number;
  /** Whether the plan's prompts have other numbers: positions from the end are then elsewhere in each. */
  readonly areMixed: boolean;
}

/** Those of a plan's prompts. */
export function tokenCounts(rows: Rows): TokenCounts {
  const longest = Math.max(...positionCounts(evaluatedPrompts(rows)));
  return { longest, areMixed: positionCounts(rows.prompts).length > 1 };
}
