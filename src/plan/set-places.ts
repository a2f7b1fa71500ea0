/** @file Where a set may have nodes: hooks and positions, before any score is asked. Work goes by places, not by nodes. */
import { must } from "../base/assert.js";
import { nodeHook, parseNodeHook } from "../nodes/node.js";
import { siteHook } from "../nodes/site.js";
import { hookTest, kindsOf, positionsOf, positionTest, type SetContext, sitesOfTerm } from "./resolve-set.js";
import { isList, type SetExpression, type SetTerm } from "./set-expression.js";

/** Positions by node hook; hooks without any are left out. */
export type SetPlaces = ReadonlyMap<string, ReadonlySet<number>>;

/** The places of a set, of which scores, indexes and `minus` may take some away. */
export function placesOfSet(expression: SetExpression, context: SetContext): SetPlaces {
  if (typeof expression === "string") return placesOfSet(must(context.sets[expression], expression), context);
  if (!isList(expression)) return placesOfTerm(expression, context);
  const union = new Map<string, ReadonlySet<number>>();
  for (const one of expression)
    for (const [hook, positions] of placesOfSet(one, context))
      union.set(hook, new Set([...(union.get(hook) ?? []), ...positions]));
  return union;
}

function placesOfTerm(term: SetTerm, context: SetContext): SetPlaces {
  if (term.set === undefined) {
    const positions = new Set(positionsOf(term, context));
    if (positions.size === 0) return new Map();
    const hooks = kindsOf(term, context).flatMap((kind) =>
      sitesOfTerm(term, kind, context).map((at) => nodeHook(at, kind)),
    );
    return new Map(hooks.map((hook) => [hook, positions]));
  }
  const [isOfTerm, isThere] = [hookTest(term, context), positionTest(term, context)];
  const own = new Map<string, ReadonlySet<number>>();
  for (const [hook, inner] of placesOfSet(term.set, context)) {
    const left = isOfTerm(hook) ? [...inner].filter(isThere) : [];
    if (left.length > 0) own.set(hook, new Set(left));
  }
  return own;
}

/** Whether a set has a node where another has one, at the same site, layer and position. */
export function meet(one: SetPlaces, other: SetPlaces): boolean {
  const sites = new Map<string, Set<number>>();
  for (const [hook, positions] of other) {
    const site = siteHook(must(parseNodeHook(hook), hook));
    sites.set(site, new Set([...(sites.get(site) ?? []), ...positions]));
  }
  return [...one].some(([hook, positions]) => {
    const there = sites.get(siteHook(must(parseNodeHook(hook), hook)));
    return there !== undefined && [...positions].some((position) => there.has(position));
  });
}

/** A hook of which one set counts positions from the start and the other from the end; undefined where there is none. */
export function countedFromBothEnds(one: SetPlaces, other: SetPlaces): string | undefined {
  const ends = (places: SetPlaces, hook: string): boolean[] => {
    const positions = [...(places.get(hook) ?? [])];
    return [positions.some((position) => position >= 0), positions.some((position) => position < 0)];
  };
  return [...one.keys()].find((hook) => {
    const [[fromStart, fromEnd], [otherStart, otherEnd]] = [ends(one, hook), ends(other, hook)];
    return (fromStart && otherEnd && !fromEnd) || (fromEnd && otherStart && !fromStart);
  });
}
