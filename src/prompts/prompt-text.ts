/** @file What people read of a prompt: its texts, and where it stands in the dataset. Nothing is computed with it. */
import { must } from "../base/assert.js";
import type { Prompt } from "../nodes/prompt.js";
import { partsOf } from "./prompts.js";
import type { DatasetRow } from "./rows.js";
import type { Tokenizer } from "./tokenizer.js";

/** A prompt's text. */
export interface SideText {
  readonly text: string;
  /** The text of each token, with those that the tokenizer puts in front, `[T]`. */
  readonly tokens: readonly string[];
}

/** Texts and place of a kept row. */
export interface PromptText {
  /** Name of the dataset file, without its folder. */
  readonly file: string;
  /** The row's family, where the file says one. */
  readonly case?: string;
  readonly clean: SideText;
  /** Null for a plain dataset. */
  readonly corrupted: SideText | null;
  readonly correct: string;
  readonly incorrect: readonly string[];
}

/** Texts of prompts. @param rows - the row of each. */
export function describePrompts(
  prompts: readonly Prompt[],
  rows: readonly DatasetRow[],
  tokenizer: Tokenizer,
): PromptText[] {
  const known = new Map<number, string>();
  const textOf = (id: number): string => {
    const text = known.get(id) ?? tokenizer.textOf(id);
    known.set(id, text);
    return text;
  };
  return prompts.map(({ clean, corrupted }, index) => {
    const row = must(rows[index], "row");
    const { correct, incorrect, sides } = partsOf(row);
    const side = (at: number, ids: readonly number[]): SideText => ({
      text: must(sides[at], "side").text,
      tokens: ids.map(textOf),
    });
    return {
      file: row.file,
      ...(row.kind === "pair" && row.case !== undefined ? { case: row.case } : {}),
      clean: side(0, clean),
      corrupted: corrupted === null ? null : side(1, corrupted),
      correct,
      incorrect,
    };
  });
}
