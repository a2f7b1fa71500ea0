/** @file The tokens of one prompt, as an example of what stands at each position. */
import type { PromptRow } from "../artifacts/prompts-file.js";

/** One prompt of the run, the first of those that have all positions. */
export interface ExamplePrompt {
  /** Its line in the dataset. */
  readonly line: number;
  /** Texts of its clean side's tokens. */
  readonly tokens: readonly string[];
  /** What must be said wherever its tokens are shown: whose they are, and that other prompts have others. */
  readonly note: string;
}

/** Letters of a token that are shown on an axis. */
const SHOWN_LETTERS = 8;

/** The example among a run's prompts; null where there are none. */
export function exampleOf(prompts: readonly PromptRow[] | null): ExamplePrompt | null {
  const sides = (prompts ?? []).map(({ ids, text }) => ({ line: ids.line, tokens: text.clean.tokens }));
  const longest = sides.reduce((most, { tokens }) => Math.max(most, tokens.length), 0);
  const example = sides.find(({ tokens }) => tokens.length === longest);
  if (example === undefined) return null;
  const isAlike = sides.every(({ tokens }) => tokens.join("\n") === example.tokens.join("\n"));
  const isAsLong = sides.every(({ tokens }) => tokens.length === longest);
  const others = isAsLong ? "others have other tokens there" : "others have other tokens there, and other lengths";
  const note = isAlike
    ? "Words at positions are the tokens of every clean prompt."
    : `Words at positions are the tokens of one prompt, line ${String(example.line)} of the dataset; ${others}.`;
  return { ...example, note };
}

/** What stands at a position in the example, in quotation marks after a space; nothing where it is not known. */
export function tokenAt(example: ExamplePrompt | null | undefined, position: number): string {
  const token = example?.tokens[position];
  return token === undefined ? "" : ` “${shownToken(token)}”`;
}

/** A position's label on an axis: its number, and the beginning of its token. */
export function positionTick(example: ExamplePrompt | null | undefined): (position: number) => string {
  return (position) => {
    const token = example?.tokens[position];
    if (token === undefined) return String(position);
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
