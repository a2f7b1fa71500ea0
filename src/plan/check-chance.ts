/**
 * @file Sets of the truth that leave nodes to chance: each node's inclusion probability must be known, as statistics weigh by it.
 *
 * A sample may be narrowed by places, indexes and `where`, drawn from again, and joined with nodes that are taken with certainty. Ranks,
 * counterparts and what is left when a sample is taken away depend on which nodes were drawn: their probability is not known.
 */
import { must } from "../base/assert.js";
import { hookTest, positionTest, type SetContext } from "./resolve-set.js";
import { isList, type SetExpression, type SetTerm, termsOf } from "./set-expression.js";
import { placesOfSet, type SetPlaces } from "./set-places.js";

type NamedSets = SetContext["sets"];

/** @throws what `fault` makes of a term whose nodes have no known inclusion probability. */
export function checkChance(
  set: SetExpression,
  sets: NamedSets,
  fault: (field: readonly string[], message: string) => Error,
): void {
  for (const term of termsOf(set, sets)) {
    const field = chancyField(term, sets);
    if (field !== undefined)
      throw fault(
        [field],
        `\`${field}\` depends on which nodes a sample drew, so that no node's inclusion probability is known; draw the sample last, or go by a set without one`,
      );
  }
}

/** The field of a term that makes of a sample what has no known probability. */
function chancyField(
  { set, top, sample, match, minus }: SetTerm,
  sets: NamedSets,
): "top" | "match" | "minus" | undefined {
  const fromDrawn = set !== undefined && isDrawn(set, sets);
  if (top !== undefined && fromDrawn) return "top";
  if (match !== undefined && (fromDrawn || sample !== undefined || isDrawn(match.to, sets))) return "match";
  return minus !== undefined && isDrawn(minus, sets) ? "minus" : undefined;
}

/** Whether a set's nodes are drawn. */
function isDrawn(set: SetExpression, sets: NamedSets): boolean {
  if (typeof set === "string") return isDrawn(must(sets[set], set), sets);
  if (isList(set)) return set.some((one) => isDrawn(one, sets));
  return set.sample !== undefined || (set.set !== undefined && isDrawn(set.set, sets));
}

/** The places of each draw of a set; a draw from what was drawn is one with it. */
export function drawnPlaces(set: SetExpression, context: SetContext): SetPlaces[] {
  if (typeof set === "string") return drawnPlaces(must(context.sets[set], set), context);
  if (isList(set)) return set.flatMap((one) => drawnPlaces(one, context));
  if (set.sample !== undefined) return [placesOfSet(set, context)];
  if (set.set === undefined) return [];
  const [isOfTerm, isThere] = [hookTest(set, context), positionTest(set, context)];
  return drawnPlaces(set.set, context).map(
    (places) =>
      new Map(
        [...places]
          .filter(([hook]) => isOfTerm(hook))
          .map(([hook, positions]) => [hook, new Set([...positions].filter(isThere))]),
      ),
  );
}
