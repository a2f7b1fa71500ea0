/** @file The tokens of one prompt, as an example of what stands at each position; of rows with spans, the names of these. */
import type { PromptRow } from "../artifacts/prompts-file.js";

/** One prompt of the run, the first of those that have all positions that effects are measured at; or what every row calls its positions. */
export interface ExamplePrompt {
  /** Its line in the dataset; null where positions have names, which are those of every row. */
  readonly line: number | null;
  /** Texts of its clean side's tokens, or the names. */
  readonly tokens: readonly string[];
  /** What must be said wherever its tokens are shown: whose they are, and that other prompts have others. */
  readonly note: string;
}

/** Letters of a token that are shown on an axis. */
const SHOWN_LETTERS = 8;

/** The example among a run's prompts; null where there are none. @param spans - names of positions, where rows have spans. */
export function exampleOf(prompts: readonly PromptRow[] | null, spans?: readonly string[]): ExamplePrompt | null {
  if (spans !== undefined) return { line: null, tokens: spans, note: "Positions are the spans that the rows name." };
  const sides = (prompts ?? []).map(({ use, ids, text }) => ({ use, line: ids.line, file: text.file, tokens: text.clean.tokens })); // prettier-ignore
  // Effects are of these: rows that only chose may have other words at their positions.
  const evaluated = sides.filter(({ use }) => use !== "select");
  const longest = evaluated.reduce((most, { tokens }) => Math.max(most, tokens.length), 0);
  const example = evaluated.find(({ tokens }) => tokens.length === longest);
  if (example === undefined) return null;
  const isAlike = sides.every(({ tokens }) => tokens.join("\n") === example.tokens.join("\n"));
  const isAsLong = sides.every(({ tokens }) => tokens.length === longest);
  const file = sides.every((side) => side.file === example.file) ? "the dataset" : example.file;
  const others = isAsLong ? "others have other tokens there" : "others have other tokens there, and other lengths";
  const note = isAlike
    ? "Words at positions are the tokens of every clean prompt."
    : `Words at positions are the tokens of one prompt, line ${String(example.line)} of ${file}; ${others}.`;
  return { line: example.line, tokens: example.tokens, note };
}

/** What stands at a position in the example, which may count from its end, in quotation marks after a space; nothing where it is not known. */
export function tokenAt(example: ExamplePrompt | null | undefined, position: number): string {
  const token = example?.tokens.at(position);
  return token === undefined ? "" : ` “${shownToken(token)}”`;
}

/** A position's label on an axis: its number, and the beginning of its token; where positions have names, its name. */
export function positionTick(example: ExamplePrompt | null | undefined): (position: number) => string {
  return (position) => {
    const token = example?.tokens.at(position);
    if (token === undefined) return String(position);
    if (example?.line === null) return token;
    const letters = Array.from(shownToken(token));
    const shown =
      letters.length > SHOWN_LETTERS ? `${letters.slice(0, SHOWN_LETTERS - 1).join("")}…` : letters.join("");
    return `${String(position)} ${shown}`;
  };
}

/** A figure's caption with what must be said of the example. */
export function withExample(caption: string, example: ExamplePrompt | null | undefined): string {
  return example == null ? caption : `${caption} ${example.note}`;
}

/** How an axis of positions is drawn: with words its labels lean, and need room below. */
export function positionAxis(example: ExamplePrompt | null | undefined): {
  readonly axis: {
    readonly tickFormat: (position: number) => string;
    readonly tickRotate?: number;
    readonly labelOffset?: number;
  };
  /** Pixels below the axis beyond those that numbers need. */
  readonly room: number;
} {
  const tickFormat = positionTick(example);
  return example == null
    ? { axis: { tickFormat }, room: 0 }
    : { axis: { tickFormat, tickRotate: -40, labelOffset: 60 }, room: 28 };
}

/** White space that would not be seen. */
function shownToken(token: string): string {
  const trimmed = token.trim();
  return trimmed === "" ? token.replaceAll("\n", "⏎").replaceAll(" ", "␣") : trimmed;
}
