/** @file Prompts of questions and statements by the sweep's own template, in place of the usual text. */
import { badInput } from "../base/errors.js";
import type { DatasetRow } from "./rows.js";

/** A part's name in braces. */
const PLACE = /\{([A-Za-z]\w*)\}/g;

/**
 * Rows whose prompts are the template, with `{question}` and `{choices}`, or `{statement}`, filled in.
 * @throws PatchbayError `bad_input` for rows that are neither, for a name that such a row does not have, and for a template without any.
 */
export function byTemplate(rows: readonly DatasetRow[], template: string): DatasetRow[] {
  const names = [...template.matchAll(PLACE)].map(([, name = ""]) => name);
  return rows.map((row) => {
    const parts = row.kind === "pair" ? undefined : row.parts;
    if (parts === undefined)
      throw badInput(`is for rows of multiple choice and of true or false, and the dataset has ${row.kind} rows`);
    const known = Object.keys(parts).map((name) => `{${name}}`);
    const unknown = names.find((name) => !Object.hasOwn(parts, name));
    if (unknown !== undefined || names.length === 0)
      throw badInput(
        `expected ${known.join(" and ")} in the template, got ${unknown === undefined ? "none of them" : `{${unknown}}`}`,
      );
    return { ...row, prompt: template.replace(PLACE, (_place, name: string) => parts[name] ?? "") };
  });
}
