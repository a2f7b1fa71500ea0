/** @file In what the sweeps of two runs, and what these were computed on, differ: what a comparison is about. */
import { canonicalJson } from "../base/hash.js";
import type { ComparedRun } from "./compared-run.js";

/** Characters of a value that are shown. */
const SHOWN = 80;
/** Characters before the first difference that are shown. */
const LEAD = 20;
const ABSENT = "–";

/** A field that differs, with both values in words. */
export interface SweepDifference {
  readonly field: string;
  readonly a: string;
  readonly b: string;
}

/** Fields in the order in which the first run has them, then those of the second alone. The name of a run is no difference. */
export function sweepDifferences(first: ComparedRun, second: ComparedRun): SweepDifference[] {
  const [a, b] = [first, second].map(({ plan: { sweep }, file: { fingerprints } }) => {
    const { name: _name, scores, ...asked } = sweep;
    const byName = Object.fromEntries(scores.map(({ name, ...score }) => [name, score]));
    const { dataset: _dataset, ...computedOn } = fingerprints;
    return new Map([...leavesOf({ scores: byName, ...asked }, ""), ...leavesOf(computedOn, "")]);
  });
  const fields = [...new Set([...(a?.keys() ?? []), ...(b?.keys() ?? [])])];
  return fields.flatMap((field) => {
    const [ofA, ofB] = [a?.get(field) ?? ABSENT, b?.get(field) ?? ABSENT];
    if (ofA === ofB) return [];
    const [shownA, shownB] = shownApart(ofA, ofB);
    return [{ field, a: shownA, b: shownB }];
  });
}

/** Values by their dotted paths; a list is one value. */
function leavesOf(value: unknown, path: string): [path: string, text: string][] {
  const isBranch = typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isBranch) return [[path, typeof value === "string" ? value : canonicalJson(value)]];
  return Object.entries(value).flatMap(([key, inner]) => leavesOf(inner, path === "" ? key : `${path}.${key}`));
}

/** As much of two texts as is shown: their beginnings, or where these are the same, the place at which they come apart. */
export function shownApart(a: string, b: string): [a: string, b: string] {
  let same = 0;
  while (same < a.length && a[same] === b[same]) same++;
  const start = same < SHOWN - LEAD ? 0 : same - LEAD;
  const shown = (text: string): string => {
    const part = text.slice(start, start + SHOWN);
    return `${start === 0 ? "" : "…"}${part}${start + SHOWN < text.length ? "…" : ""}`;
  };
  return [shown(a), shown(b)];
}
