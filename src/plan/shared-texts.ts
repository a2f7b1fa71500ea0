/** @file Held-out rows whose texts chose too. A row is another one by its answers, while means and features see its tokens alone. */
import type { Prompt } from "../nodes/prompt.js";
import { evaluatedPrompts, selectionPrompts } from "./held-out.js";
import type { Plan } from "./plan.js";

/** How many evaluated rows have the tokens of a row that chose, on the same sides or exchanged, whatever their answers. */
export function countSharedTexts(rows: Pick<Plan, "prompts" | "evaluated">): number {
  if (rows.evaluated === undefined) return 0;
  const chose = new Set(selectionPrompts(rows).map(textsKey));
  return evaluatedPrompts(rows).filter((prompt) => chose.has(textsKey(prompt))).length;
}

/** Equal for rows of the same two token lists. */
function textsKey({ clean, corrupted }: Prompt): string {
  return [clean, corrupted ?? []]
    .map((ids) => ids.join())
    .sort()
    .join(" | ");
}
