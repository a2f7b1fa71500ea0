/** @file The spans that a row of pairs names: ranges of characters of both prompts, as the file writes them. */
import { z } from "zod";
import { badInput, type ErrorDetail } from "../base/errors.js";
import { FaultList } from "../base/fault-list.js";
import { ANSWER_SPAN } from "../nodes/span.js";

/** Half-open range of a text, in UTF-16 units, as JavaScript counts. */
export type TextRange = readonly [start: number, end: number];

/** A span of a row. */
export interface RowSpan {
  readonly name: string;
  readonly clean: TextRange;
  readonly patch: TextRange;
}

/** A span's name is neither a number nor what a sweep calls positions otherwise. */
const NAME = /^(?!(?:all|global)$)[A-Za-z][A-Za-z0-9_-]{0,63}$/;

const range = z.tuple([z.int().min(0), z.int().min(0)]);

/** The field of a row. */
export const spansField = z
  .record(z.string(), z.union([range, z.strictObject({ clean: range, patch: range })]))
  .refine((spans) => Object.keys(spans).length > 0, "expected at least one span, got none; leave the field out")
  .optional();

/** Both texts of a row. */
interface Texts {
  readonly cleanPrefix: string;
  readonly patchPrefix: string;
}

/**
 * The spans of a row in order, checked against its texts.
 * @throws PatchbayError `bad_input` naming file, line and field of a name that is none, and of every range that is empty, outside its
 *   text, or not behind the one before.
 */
export function readSpans(
  given: z.infer<typeof spansField>,
  { cleanPrefix, patchPrefix }: Texts,
  where: ErrorDetail,
): readonly RowSpan[] | undefined {
  if (given === undefined) return undefined;
  const faults = new FaultList();
  const misnamed = Object.keys(given).find((name) => !NAME.test(name));
  if (misnamed !== undefined)
    throw badInput(
      "expected a name of a letter, then letters, digits, - and _, at most 64 in all, and not all or global, which name positions already",
      { ...where, field: `spans.${misnamed}` },
    );
  const spans = Object.entries(given).map(([name, ranges]) => {
    const { clean, patch } = Array.isArray(ranges) ? { clean: ranges, patch: ranges } : ranges;
    return { name, clean, patch };
  });
  const sides = [["clean", cleanPrefix] as const, ["patch", patchPrefix] as const];
  for (const [side, text] of sides) {
    const length = Array.from(text).length;
    let before = { name: "", end: 0 };
    for (const { name, [side]: own } of spans) {
      faults.attempt(() => {
        const fault = faultOf(own, { text: `${side}_prefix`, length, before });
        if (fault !== undefined) throw badInput(fault, { ...where, field: `spans.${name}.${side}` });
      });
      before = { name, end: own[1] };
    }
  }
  faults.throwIfAny();
  return spans.map((span) => ({
    ...span,
    clean: inUnits(span.clean, cleanPrefix),
    patch: inUnits(span.patch, patchPrefix),
  }));
}

/** What is wrong with a range of characters. */
function faultOf(
  [from, to]: TextRange,
  { text, length, before }: { readonly text: string; readonly length: number; readonly before: { name: string; end: number } }, // prettier-ignore
): string | undefined {
  const got = `got [${String(from)}, ${String(to)}]`;
  if (from >= to)
    return `expected a range [from, to] with from below to, ${got}; \`to\` is the character behind the span`;
  if (to > length) return `expected a range within the ${String(length)} characters of ${text}, ${got}`;
  if (from < before.end)
    return `expected a range from ${String(before.end)} on, behind the span ${before.name}, ${got}; name spans in the order of the text, none over another`;
  return undefined;
}

/** A range of characters in UTF-16 units: a character beyond the first 65,536 has two. */
function inUnits([from, to]: TextRange, text: string): TextRange {
  const characters = Array.from(text);
  const units = (count: number): number => characters.slice(0, count).join("").length;
  return [units(from), units(to)];
}

/** Rows have the same spans where each names these, in this order; without any all say so alike. */
export function spanNames(spans: readonly RowSpan[] | undefined): readonly string[] {
  return (spans ?? []).map(({ name }) => name);
}

/** Names of the positions of prompts of such rows: the last one is the answer's, whatever the row names. */
export function positionNames(spans: readonly RowSpan[]): readonly string[] {
  const names = spanNames(spans);
  return names.includes(ANSWER_SPAN) ? names : [...names, ANSWER_SPAN];
}
