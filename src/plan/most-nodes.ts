/** @file How many nodes a set may come to, before the scores that it goes by are known: what slots a plan has for it. */
import { must } from "../base/assert.js";
import type { NodeKind } from "../nodes/kinds.js";
import { parseNodeHook } from "../nodes/node.js";
import { nodesPerPlace } from "./node-places.js";
import { indexesOf, type SetContext } from "./resolve-set.js";
import { isList, type SetExpression, type SetTerm } from "./set-expression.js";
import { placesOfSet, type SetPlaces } from "./set-places.js";

/** At most so many nodes: of each hook, and of all hooks together. */
export interface MostNodes {
  readonly ofHook: ReadonlyMap<string, number>;
  readonly together: number;
}

/** How many nodes a set has at most. */
export function mostNodes(expression: SetExpression, context: SetContext): MostNodes {
  if (typeof expression === "string") return mostNodes(must(context.sets[expression], expression), context);
  if (!isList(expression)) return mostOfTerm(expression, context);
  const most = together(expression.map((one) => mostNodes(one, context)));
  const widthOf = nodesPerPlace(context);
  const places = placesOfSet(expression, context);
  return { ...most, ofHook: capped(most.ofHook, (hook) => (places.get(hook)?.size ?? 0) * widthOf(hook)) };
}

/** How many nodes any of several sets has at most. */
export function together(parts: readonly MostNodes[]): MostNodes {
  const ofHook = new Map<string, number>();
  for (const part of parts) for (const [hook, most] of part.ofHook) ofHook.set(hook, (ofHook.get(hook) ?? 0) + most);
  return { ofHook, together: parts.reduce((sum, part) => sum + sizeOf(part), 0) };
}

/** How many nodes of one kind these are at most. */
export function mostOfKind({ ofHook, together: all }: MostNodes, kind: NodeKind): number {
  const own = [...ofHook].filter(([hook]) => must(parseNodeHook(hook), hook).kind === kind);
  return sizeOf({ ofHook: new Map(own), together: all });
}

function sizeOf({ ofHook, together: all }: MostNodes): number {
  return Math.min(
    all,
    [...ofHook.values()].reduce((a, b) => a + b, 0),
  );
}

function mostOfTerm(term: SetTerm, context: SetContext): MostNodes {
  const places = placesOfSet(term, context);
  let most = startOf(term, places, context);
  if (term.top !== undefined) most = ofTop(most, term, places);
  const { sample, match } = term;
  if (sample !== undefined) most = { ...most, ofHook: capped(most.ofHook, () => sample.n) };
  if (match?.how.startsWith("closest") === true)
    most = { ...most, together: Math.min(most.together, sizeOf(mostNodes(match.to, context))) };
  return most;
}

/** Nodes of the term's places and indexes, and no more than the set has that it starts from. */
function startOf(term: SetTerm, places: SetPlaces, context: SetContext): MostNodes {
  const widthOf = nodesPerPlace(context);
  const inner = term.set === undefined ? undefined : mostNodes(term.set, context);
  const there = new Map(
    [...places].map(([hook, positions]) => {
      const named = indexesOf(term, must(parseNodeHook(hook), hook).kind);
      return [hook, positions.size * Math.min(widthOf(hook), named?.size ?? Infinity)];
    }),
  );
  const ofHook = inner === undefined ? there : capped(there, (hook) => inner.ofHook.get(hook) ?? 0);
  return { ofHook, together: inner?.together ?? Infinity };
}

function ofTop(most: MostNodes, { top = 0, per = "layer", over = "each" }: SetTerm, places: SetPlaces): MostNodes {
  // An index that is ranked over positions has a node at each.
  const each = top * (over === "each" ? 1 : Math.max(...[...places.values()].map(({ size }) => size)));
  const sites = new Set([...most.ofHook.keys()].map((hook) => must(parseNodeHook(hook), hook).site));
  const groups = { layer: Infinity, site: sites.size, all: 1 }[per];
  return { ofHook: capped(most.ofHook, () => each), together: Math.min(most.together, each * groups) };
}

function capped(ofHook: MostNodes["ofHook"], capOf: (hook: string) => number): Map<string, number> {
  return new Map([...ofHook].map(([hook, most]) => [hook, Math.min(most, capOf(hook))]));
}

/** How many slots a plan may have for a set: more shards than that would take longer to lease than to run. */
export const MOST_SLOTS = 100_000;
