/** @file Whole numbers that a user writes in a flag. */
import { badInput } from "./errors.js";

/**
 * Reads a whole number from `least` to `most`; `field` is the flag's name.
 * @throws PatchbayError `bad_input` for anything else.
 */
export function wholeNumber(text: string, field: string, least: number, most: number): number {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  const got = text === "" ? "nothing" : text;
  throw badInput(`expected a whole number from ${least} to ${most}, got ${got}`, { field });
}
