/**
 * @file Dataset rows to tokenised prompts. A row that cannot be used is dropped with the first reason that holds:
 *
 * 1. `multi_token_answer`: an answer is not exactly one token.
 * 2. `unequal_length`: clean and corrupted prompt have different token counts, and the row has no spans.
 * 3. `merge`: a prompt followed by its answer does not tokenise as the two parts do, so the answer position would be wrong.
 */
import { badInput } from "../base/errors.js";
import type { Prompt } from "../nodes/prompt.js";
import type { DatasetRow } from "./rows.js";
import { placeSpans } from "./span-tokens.js";
import type { Tokenizer } from "./tokenizer.js";

/** Why a row is not used, in the order of the checks. */
export const DROP_REASONS = ["multi_token_answer", "unequal_length", "merge"] as const;
/** Why a row is not used. */
export type DropReason = (typeof DROP_REASONS)[number];

/** A row that is not used. */
export interface DroppedRow {
  /** Name of the dataset file, without its folder. */
  readonly file: string;
  /** 1-based. */
  readonly line: number;
  readonly reason: DropReason;
  /** What its dataset is for, where a sweep names two: their files may have one name. */
  readonly use?: "select" | "evaluate";
}

/** What the dataset was turned into. */
export interface ReadPrompts {
  readonly prompts: Prompt[];
  /** The row of each prompt. */
  readonly rows: DatasetRow[];
  readonly dropped: DroppedRow[];
}

/** A prompt text and the answer texts that must follow it as tokens of their own. */
export interface Side {
  readonly text: string;
  readonly answers: readonly string[];
}

/**
 * Tokenises rows in file order, until `limit` prompts are kept; rows behind that are neither kept nor dropped.
 * @throws PatchbayError `bad_input` with a count for each reason when no row is left, and for a span that names no tokens of its own.
 */
export function toPrompts(rows: readonly DatasetRow[], tokenizer: Tokenizer, limit = Infinity): ReadPrompts {
  const prompts: Prompt[] = [];
  const kept: DatasetRow[] = [];
  const dropped: DroppedRow[] = [];
  for (const row of rows) {
    if (prompts.length >= limit) break;
    const outcome = toPrompt(row, tokenizer);
    if (typeof outcome === "string") dropped.push({ file: row.file, line: row.line, reason: outcome });
    else {
      prompts.push(outcome);
      kept.push(row);
    }
  }
  if (prompts.length === 0) throw nothingLeft(dropped);
  return { prompts, rows: kept, dropped };
}

/**
 * Passes where the model has an embedding for every token.
 * @param folder - the checkpoint's, for errors.
 * @throws PatchbayError `bad_input` naming a token that is not the model's.
 */
export function checkTokenIds(prompts: readonly Prompt[], vocabSize: number, folder: string): void {
  for (const { line, clean, corrupted, correct, incorrect } of prompts) {
    const beyond = [...clean, ...(corrupted ?? []), correct, ...incorrect].find((id) => !(id < vocabSize));
    if (beyond === undefined) continue;
    throw badInput(
      `expected tokens below ${String(vocabSize)}, config.json's vocab_size, got ${String(beyond)} in line ${String(line)} of the dataset; does tokenizer.json belong to this checkpoint?`,
      { file: folder },
    );
  }
}

function toPrompt(row: DatasetRow, tokenizer: Tokenizer): Prompt | DropReason {
  const { correct, incorrect, sides } = partsOf(row);
  const idOf = new Map<string, number>();
  for (const answer of [correct, ...incorrect]) {
    const [id, ...more] = tokenizer.encode(answer).slice(tokenizer.start.length);
    if (id === undefined || more.length > 0) return "multi_token_answer";
    idOf.set(answer, id);
  }
  const [clean = [], corrupted = null] = sides.map(({ text }) => tokenizer.encode(text));
  const spanned = row.kind === "pair" && row.spans !== undefined ? { ...row, spans: row.spans } : null;
  if (spanned === null && corrupted !== null && corrupted.length !== clean.length) return "unequal_length";
  for (const { text, answers } of sides) {
    const ids = tokenizer.encode(text);
    for (const answer of answers) {
      if (!sameIds(tokenizer.encode(text + answer), [...ids, idOf.get(answer) as number])) return "merge";
    }
  }
  return {
    line: row.line,
    clean,
    corrupted,
    ...(spanned === null ? {} : { spans: placeSpans(spanned, tokenizer) }),
    correct: idOf.get(correct) as number,
    incorrect: incorrect.map((answer) => idOf.get(answer) as number),
    ...(row.cluster === undefined ? {} : { cluster: row.cluster }),
  };
}

/** All kinds of row in one form: each side is checked with the answers that belong to it. */
export function partsOf(row: DatasetRow): { correct: string; incorrect: readonly string[]; sides: readonly Side[] } {
  if (row.kind !== "pair") {
    const { prompt, trueAnswer, falseAnswers } = row;
    const side = { text: prompt, answers: [trueAnswer, ...falseAnswers] };
    return { correct: trueAnswer, incorrect: falseAnswers, sides: [side] };
  }
  const { cleanPrefix, patchPrefix, cleanAnswer, patchAnswers } = row;
  const clean = { text: cleanPrefix, answers: [cleanAnswer] };
  const corrupted = { text: patchPrefix, answers: patchAnswers };
  return { correct: cleanAnswer, incorrect: patchAnswers, sides: [clean, corrupted] };
}

function sameIds(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((id, at) => id === b[at]);
}

function nothingLeft(dropped: readonly DroppedRow[]) {
  const counts = DROP_REASONS.map(
    (reason) => `${reason} ${String(dropped.filter((row) => row.reason === reason).length)}`,
  );
  return badInput(
    `expected at least one usable row, got none: all ${String(dropped.length)} were dropped (${counts.join(", ")}); are the answers single tokens, with their leading space?`,
  );
}
