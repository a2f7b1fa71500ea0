/** @file In what the sweeps of two runs, and what these were computed on, differ: what a comparison is about. */
import { canonicalJson } from "../base/hash.js";
import type { ComparedRun } from "./compared-run.js";

/** Characters of a value that are shown. */
const SHOWN = 80;
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
    return ofA === ofB ? [] : [{ field, a: shortened(ofA), b: shortened(ofB) }];
  });
}

/** Values by their dotted paths; a list is one value. */
function leavesOf(value: unknown, path: string): [path: string, text: string][] {
  const isBranch = typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isBranch) return [[path, typeof value === "string" ? value : canonicalJson(value)]];
  return Object.entries(value).flatMap(([key, inner]) => leavesOf(inner, path === "" ? key : `${path}.${key}`));
}

/** As much of a text as is shown. */
export function shortened(text: string): string {
  return text.length <= SHOWN ? text : `${text.slice(0, SHOWN)}…`;
}
