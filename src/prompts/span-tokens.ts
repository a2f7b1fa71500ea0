/**
 * @file From a row's spans, which are ranges of characters, to ranges of tokens.
 *
 * 1. Tokens are laid along the text. A character of several tokens belongs to each of them.
 * 2. A token belongs to a span that it overlaps; a space that begins a token may lie outside the span.
 * 3. The last token belongs to the span `answer`, which is the last: where a row names none, that is the last token alone.
 */
import { must } from "../base/assert.js";
import { badInput, type PatchbayError } from "../base/errors.js";
import { ANSWER_SPAN, type PromptSpan, type TokenRange } from "../nodes/span.js";
import type { RowSpan, TextRange } from "./row-spans.js";
import type { PairRow } from "./rows.js";
import type { Tokenizer } from "./tokenizer.js";

/** What a character that is not whole is decoded to. */
const BROKEN = "\uFFFD";

/** A row that has spans. */
type SpannedRow = PairRow & { readonly spans: readonly RowSpan[] };

/** The spans of a row's prompts, the answer's last. @throws PatchbayError `bad_input` naming file, line and field. */
export function placeSpans(row: SpannedRow, tokenizer: Tokenizer): PromptSpan[] {
  const clean = sideSpans(row, "clean", tokenizer);
  const patch = sideSpans(row, "patch", tokenizer);
  return clean.map((range, i) => ({ clean: range, corrupted: must(patch[i], "range") }));
}

function sideSpans(row: SpannedRow, side: "clean" | "patch", tokenizer: Tokenizer): TokenRange[] {
  const text = side === "clean" ? row.cleanPrefix : row.patchPrefix;
  const fault = (name: string, message: string): PatchbayError =>
    badInput(message, { file: row.file, line: row.line, field: `spans.${name}.${side}` });
  const texts = tokenTexts(text, tokenizer);
  if (texts === null)
    throw fault(
      must(row.spans[0], "span").name,
      `the tokens of ${side}_prefix do not spell its text, so that spans of it have no place; write the text as the tokenizer decodes it`,
    );
  const first = tokenizer.start.length;
  const [last, ranges] = [first + texts.length - 1, [] as TokenRange[]];
  let before: RowSpan | undefined;
  for (const span of row.spans) {
    const [start, end] = overlapping(span[side], texts);
    const range: TokenRange = [first + start, first + end];
    if (before !== undefined && range[0] < must(ranges.at(-1), "range")[1])
      throw fault(
        span.name,
        `shares the token “${text.slice(...must(texts[start], "token"))}” with the span ${before.name}; move the end of one, by whole words`,
      );
    if (span.name !== ANSWER_SPAN && range[1] > last)
      throw fault(
        span.name,
        `holds the last token, which is the position of the answer; end it before “${text.slice(...must(texts.at(-1), "token"))}”, or call the last span ${ANSWER_SPAN}`,
      );
    if (span.name === ANSWER_SPAN && range[1] <= last)
      throw fault(
        span.name,
        `expected the span of the answer to hold the last token; end it at ${String(Array.from(text).length)}`,
      );
    ranges.push(range);
    before = span;
  }
  return before?.name === ANSWER_SPAN ? ranges : [...ranges, [last, last + 1]];
}

/** Tokens that a range of the text overlaps. */
function overlapping([from, to]: TextRange, texts: readonly TextRange[]): TokenRange {
  const start = texts.findIndex(([, end]) => end > from);
  const behind = texts.findIndex(([begin]) => begin >= to);
  return [start, behind < 0 ? texts.length : behind];
}

/** The range of the text that each token stands for, without those in front of every prompt; null where they do not spell it. */
export function tokenTexts(text: string, tokenizer: Tokenizer): TextRange[] | null {
  const ranges: TextRange[] = [];
  let group: number[] = [];
  let from = 0;
  for (const id of tokenizer.encode(text).slice(tokenizer.start.length)) {
    group.push(id);
    const piece = tokenizer.decode(group);
    if (!text.startsWith(piece, from)) {
      if (!piece.includes(BROKEN)) return null;
      continue;
    }
    const range: TextRange = [from, from + piece.length];
    ranges.push(...group.map(() => range));
    from += piece.length;
    group = [];
  }
  return from === text.length && group.length === 0 ? ranges : null;
}
