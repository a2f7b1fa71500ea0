/**
 * @file Baselines: for each node of a set, the nodes at its site, layer and position whose scores come closest to its own.
 *
 * - `closest`: the node of nearest |score|; `closest_signed`: of nearest score.
 * - `committee`, on signed scores: of the nodes that reach the score, the one of the smallest; if none does, the shortest list, largest
 *   score first, whose sum reaches it; if no sum does, all.
 * - `committee_by_sign`: the same mirrored for a negative score, and of nodes of its sign only.
 *
 * The node itself is never its counterpart. Ties go by kind, then index. Source: EXPERIMENTS, `match`; REFERENCE 5.
 */
import { must, unreachable } from "../base/assert.js";
import { NODE_KINDS } from "../nodes/kinds.js";
import { parseNodeHook } from "../nodes/node.js";
import { listsOf, type NodeLists } from "../nodes/node-lists.js";
import { siteHook } from "../nodes/site.js";
import type { ScoreOf } from "./resolve-set.js";
import type { MatchRule } from "./set-expression.js";

/** How nodes are matched. */
export interface Matching {
  readonly how: MatchRule;
  readonly scoreOf: ScoreOf;
  /** Nodes at each position of a hook. */
  readonly widthOf: (hook: string) => number;
}

/** The counterparts of the nodes of `to` among the candidates. */
export function matchedNodes(candidates: NodeLists, to: NodeLists, { how, scoreOf, widthOf }: Matching): NodeLists {
  const matched: [hook: string, indexes: number[]][] = [];
  for (const [hook, indexes] of to) {
    const site = siteHook(must(parseNodeHook(hook), hook));
    const there = byPosition(candidates, { hooks: hooksAt(candidates, site), scoreOf, widthOf });
    for (const index of indexes) {
      const others = there.get(Math.floor(index / widthOf(hook))) ?? [];
      const scored = others.filter((one) => one.hook !== hook || one.index !== index);
      for (const one of counterparts(scored, scoreOf(hook)(index), how)) matched.push([one.hook, [one.index]]);
    }
  }
  return listsOf(matched);
}

/** Node hooks of a set at a site, by kind. */
function hooksAt(set: NodeLists, site: string): string[] {
  const kindOf = (hook: string) => must(parseNodeHook(hook), hook);
  return [...set.keys()]
    .filter((hook) => siteHook(kindOf(hook)) === site)
    .sort((a, b) => NODE_KINDS.indexOf(kindOf(a).kind) - NODE_KINDS.indexOf(kindOf(b).kind));
}

/** The nodes of some hooks with their scores, by position. */
function byPosition(
  nodes: NodeLists,
  { hooks, scoreOf, widthOf }: Omit<Matching, "how"> & { readonly hooks: readonly string[] },
): Map<number, Scored[]> {
  const groups = new Map<number, Scored[]>();
  for (const hook of hooks) {
    const [width, score] = [widthOf(hook), scoreOf(hook)];
    for (const index of must(nodes.get(hook), hook)) {
      const position = Math.floor(index / width);
      const group = groups.get(position) ?? [];
      groups.set(position, group);
      group.push({ hook, index, score: score(index) });
    }
  }
  return groups;
}

interface Scored {
  readonly hook: string;
  readonly index: number;
  readonly score: number;
}

/** Those of the nodes that match a score. @param nodes - of one place, by kind and index. */
function counterparts(nodes: readonly Scored[], target: number, how: MatchRule): readonly Scored[] {
  switch (how) {
    case "closest":
      return nearest(nodes, (score) => Math.abs(Math.abs(score) - Math.abs(target)));
    case "closest_signed":
      return nearest(nodes, (score) => Math.abs(score - target));
    case "committee":
      return committee(nodes, target);
    case "committee_by_sign": {
      const sign = target < 0 ? -1 : 1;
      const mirrored = nodes.map((one) => ({ ...one, score: sign * one.score }));
      return committee(
        mirrored.filter(({ score }) => score > 0),
        sign * target,
      );
    }
    default:
      return unreachable(how);
  }
}

function nearest(nodes: readonly Scored[], distance: (score: number) => number): Scored[] {
  let best: Scored | undefined;
  for (const one of nodes) if (best === undefined || distance(one.score) < distance(best.score)) best = one;
  return best === undefined ? [] : [best];
}

function committee(nodes: readonly Scored[], target: number): readonly Scored[] {
  const descending = nodes.toSorted((a, b) => b.score - a.score);
  const reaching = nodes.filter(({ score }) => score >= target).toSorted((a, b) => a.score - b.score);
  const [least] = reaching;
  if (least !== undefined) return [least];
  let sum = 0;
  const enough = descending.findIndex(({ score }) => (sum += score) >= target);
  return enough < 0 ? nodes : descending.slice(0, enough + 1);
}
