/** @file From sets of nodes to what an evaluation does to each node, for prompts of one length. */
import { must } from "../base/assert.js";
import type { Intervention, SiteIntervention } from "./intervention.js";
import { isPartKind, KINDS } from "./kinds.js";
import { parseNodeHook } from "./node.js";
import { listsOf, type NodeLists } from "./node-lists.js";
import { type CircuitSite, interventionOf, nodesPerPosition, uniformSite } from "./node-states.js";
import { siteHook } from "./site.js";

/** Nodes that are put into a state. */
export interface PaintedSet {
  readonly nodes: NodeLists;
  readonly state: number;
}

/**
 * Puts every node into the state `base`, then those of each set into its state, later ones over earlier ones. Positions that prompts of
 * `length` tokens do not have name nothing.
 */
export function interventionOfSets(
  sites: readonly CircuitSite[],
  length: number,
  base: number,
  sets: readonly PaintedSet[],
): Intervention {
  const bySite = new Map<string, { readonly hook: string; readonly indexes: Int32Array; readonly state: number }[]>();
  for (const { nodes, state } of sets)
    for (const [hook, indexes] of nodes) {
      const site = siteHook(must(parseNodeHook(hook), hook));
      bySite.set(site, [...(bySite.get(site) ?? []), { hook, indexes, state }]);
    }
  return interventionOf(sites, (at) => {
    const painted = bySite.get(siteHook(at));
    if (painted === undefined && base === 0) return undefined;
    const states: { -readonly [States in keyof SiteIntervention]: SiteIntervention[States] } = uniformSite(
      at,
      length,
      base,
    );
    // Parts are live where they are not named, whatever becomes of whole nodes.
    if (painted?.some(({ hook }) => isPartKind(must(parseNodeHook(hook), hook).kind)) === true)
      Object.assign(states, { linear: new Uint8Array(length), nonlinear: new Uint8Array(length) });
    for (const { hook, indexes, state } of painted ?? []) {
      const { kind } = must(parseNodeHook(hook), hook);
      const own = must(states[KINDS[kind].states], kind);
      const end = length * nodesPerPosition(at, kind);
      for (const index of indexes) {
        const flat = index < 0 ? index + end : index;
        if (flat >= 0 && flat < end) own[flat] = state;
      }
    }
    return states;
  });
}

/** The nodes as prompts of `length` tokens have them: those counted from the end at their positions. @param widthOf - nodes at each position of a hook. */
export function placedWithin(nodes: NodeLists, length: number, widthOf: (hook: string) => number): NodeLists {
  return listsOf(
    [...nodes].map(([hook, indexes]) => {
      const end = length * widthOf(hook);
      const placed = Array.from(indexes, (index) => (index < 0 ? index + end : index));
      return [hook, placed.filter((index) => index >= 0 && index < end)] as const;
    }),
  );
}
