/** @file Rows as a chat: each prompt is a user's turn in the tokenizer's chat template, and its answers begin the model's reply. */
import { badInput } from "../base/errors.js";
import type { DatasetRow } from "./rows.js";
import type { Tokenizer } from "./tokenizer.js";

/**
 * Rows whose prompts are rendered by the chat template, with the opening of a reply behind. BOS is left to the tokenizer, which puts
 * one in front of every prompt. Answers that a question's form gives lose the space in front; those that a row writes stay as they are.
 * @throws PatchbayError `bad_input` where the tokenizer has no template, the template refuses a user's turn, or rows have spans.
 */
export function asChat(rows: readonly DatasetRow[], tokenizer: Tokenizer): DatasetRow[] {
  const bos = tokenizer.start.map((id) => tokenizer.textOf(id)).join("");
  const turn = (content: string): string => {
    const { text } = tokenizer.chat([{ role: "user", content }], true);
    return bos !== "" && text.startsWith(bos) ? text.slice(bos.length) : text;
  };
  return rows.map((row) => {
    if (row.kind === "pair" && row.spans !== undefined)
      throw badInput("is not built for rows with spans, whose characters are those of the prompts as they are written");
    if (row.kind === "pair") return { ...row, cleanPrefix: turn(row.cleanPrefix), patchPrefix: turn(row.patchPrefix) };
    const rendered = { ...row, prompt: turn(row.prompt) };
    if (row.kind === "plain") return rendered;
    const { trueAnswer, falseAnswers } = row;
    return {
      ...rendered,
      trueAnswer: trueAnswer.trimStart(),
      falseAnswers: falseAnswers.map((one) => one.trimStart()),
    };
  });
}
