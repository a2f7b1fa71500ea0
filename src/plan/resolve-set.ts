/**
 * @file From a set as a sweep writes it to its nodes.
 *
 * 1. A term's nodes are those of its kinds at its sites, layers and positions, or those of another set there.
 * 2. `where` keeps nodes on one side of a threshold of their mean score.
 * 3. `top` keeps the strongest of each site of each layer, or of more; ties go by layer, site, position and index. `sample` draws from each
 *    hook, uniformly within bands of the score's size, or from all alike.
 * 4. `match` keeps, for each node of another set, its counterpart at the same site, layer and position (match-nodes.ts).
 * 5. `minus` takes away. A list is the union of its sets.
 *
 * Work and memory go by the nodes of the places that are named. Source: EXPERIMENTS, "Node sets".
 */
import { must, unreachable } from "../base/assert.js";
import { type ChosenNode, sampledNodes } from "../nodes/choose-nodes.js";
import { KINDS, NODE_KINDS, type NodeKind } from "../nodes/kinds.js";
import { GLOBAL_POSITION, nodeHook, parseNodeHook } from "../nodes/node.js";
import { filterLists, listsOf, type NodeLists, unionOf, without } from "../nodes/node-lists.js";
import { type CircuitSite, kindsAt } from "../nodes/node-states.js";
import { siteHook, SITES, type SiteAt } from "../nodes/site.js";
import type { TokenCounts } from "./held-out.js";
import { matchedNodes } from "./match-nodes.js";
import { layersOfSet, nodesPerPlace, patchPositions, sitesOfSet, sizesAt } from "./node-places.js";
import type { ModelShape, SaeSite } from "./plan.js";
import { isList, partsOf, type SetExpression, type SetTerm, thresholdOf } from "./set-expression.js";

/** Mean score of the node `index` of a hook, as {@link NodeLists} count them. */
export type ScoreOf = (hook: string) => (index: number) => number;

/** What sets are resolved against. */
export interface SetContext {
  readonly shape: ModelShape;
  readonly saes: readonly SaeSite[];
  readonly lengths: TokenCounts;
  readonly sets: Readonly<Record<string, SetExpression>>;
  /** Sites that circuits are made of. */
  readonly sites: readonly CircuitSite[];
  /** Kinds of a term that names none: those that circuits are made of. */
  readonly kinds: readonly NodeKind[];
  /** Name of the scores of a term that names none. */
  readonly by: string;
  readonly seed: number;
  /** Mean scores by name. */
  readonly scores: (name: string) => ScoreOf;
  /**
   * Whether kinds that a term names are at all of their sites, as the truth has them: it measures each node by itself. What circuits without
   * SAEs are made of does not overlap.
   */
  readonly overlapping?: boolean;
  /** Whether the nodes are those that are patched at all positions at once: each is at position 0 of the lists. */
  readonly isGlobal?: boolean;
}

/** How a node was drawn. */
export type DrawOf = Pick<ChosenNode, "stratum" | "inclusionProbability">;

/** The nodes of a set. */
export interface ResolvedSet {
  readonly nodes: NodeLists;
  /** Drawn nodes by hook and index; others were taken with certainty. */
  readonly drawn: ReadonlyMap<string, ReadonlyMap<number, DrawOf>>;
}

const NOTHING_DRAWN: ResolvedSet["drawn"] = new Map();

/** A set without nodes. */
export const NO_NODES: ResolvedSet = { nodes: new Map(), drawn: NOTHING_DRAWN };

/** Resolves a set. */
export function resolveSet(expression: SetExpression, context: SetContext): ResolvedSet {
  if (typeof expression === "string") return resolveSet(must(context.sets[expression], expression), context);
  if (!isList(expression)) return resolveTerm(expression, context);
  const parts = expression.map((one) => resolveSet(one, context));
  return { nodes: unionOf(parts.map(({ nodes }) => nodes)), drawn: drawnOfUnion(parts) };
}

/** A node that a part takes with certainty is not drawn; of several draws that take it, the likeliest counts. */
function drawnOfUnion(parts: readonly ResolvedSet[]): ResolvedSet["drawn"] {
  const draws = new Map<string, Map<number, DrawOf>>();
  for (const hook of new Set(parts.flatMap(({ drawn }) => [...drawn.keys()]))) {
    const [certain, known] = [new Set<number>(), new Map<number, DrawOf>()];
    for (const { nodes, drawn } of parts)
      for (const index of nodes.get(hook) ?? []) {
        const [own, before] = [drawn.get(hook)?.get(index), known.get(index)];
        if (own === undefined) certain.add(index);
        else if (before === undefined || own.inclusionProbability > before.inclusionProbability) known.set(index, own);
      }
    for (const index of certain) known.delete(index);
    draws.set(hook, known);
  }
  return draws;
}

/** Draws of a sample of what was itself drawn. */
function drawnAgain(drawn: ResolvedSet["drawn"], before: ResolvedSet["drawn"]): ResolvedSet["drawn"] {
  const again = (hook: string, index: number, own: DrawOf): DrawOf => ({
    ...own,
    inclusionProbability: own.inclusionProbability * (before.get(hook)?.get(index)?.inclusionProbability ?? 1),
  });
  return new Map(
    [...drawn].map(([hook, draws]) => [
      hook,
      new Map([...draws].map(([index, own]) => [index, again(hook, index, own)])),
    ]),
  );
}

/** The nodes of a term's places, before its own fields ask for scores. */
export function startOf(term: SetTerm, context: SetContext): ResolvedSet {
  if (term.set === undefined) return { nodes: generated(term, context), drawn: NOTHING_DRAWN };
  const { nodes, drawn } = resolveSet(term.set, context);
  return { nodes: narrowed(term, nodes, context), drawn };
}

function resolveTerm(term: SetTerm, context: SetContext): ResolvedSet {
  return leftBy(term, startOf(term, context), context);
}

/** What a term's fields from `where` on leave of the nodes that it starts from. */
export function leftBy(term: SetTerm, { nodes, drawn }: ResolvedSet, context: SetContext): ResolvedSet {
  const scoreOf = (): ScoreOf => context.scores(term.by ?? context.by);
  const widthOf = nodesPerPlace(context);
  if (term.where !== undefined) nodes = reaching(nodes, term.where, scoreOf());
  if (term.top !== undefined) nodes = strongest(nodes, term, { scoreOf: scoreOf(), widthOf });
  if (term.sample !== undefined) {
    const before = drawn;
    ({ nodes, drawn } = sampled(nodes, term.sample, { context, scoreOf: scoreOf() }));
    drawn = drawnAgain(drawn, before);
  }
  if (term.match !== undefined) {
    const { to, how } = term.match;
    nodes = matchedNodes(nodes, resolveSet(to, context).nodes, { how, scoreOf: scoreOf(), widthOf });
  }
  if (term.minus !== undefined) nodes = without(nodes, resolveSet(term.minus, context).nodes);
  return { nodes, drawn };
}

/** Kinds of a term that starts from no other set. */
export function kindsOf({ kind }: SetTerm, { kinds }: SetContext): readonly NodeKind[] {
  if (kind === undefined) return kinds;
  const named = partsOf(kind);
  return NODE_KINDS.filter((one) => named.includes(one));
}

/** Sites of a term's nodes of a kind. */
export function sitesOfTerm(term: SetTerm, kind: NodeKind, context: SetContext): SiteAt[] {
  const { site, layers = "all" } = term;
  const set = { layers: partsOf(layers), site: site === undefined ? undefined : partsOf(site) };
  const sites = sitesOfSet(set, kind, context);
  const isAnywhere = KINDS[kind].onSae || (context.overlapping === true && term.kind !== undefined);
  // Without SAEs a site is made of nodes of one kind.
  return isAnywhere ? sites : sites.filter((at) => sitesWith(kind, context).has(siteHook(at)));
}

/** Hooks of the sites whose nodes of a kind are what circuits are made of. */
function sitesWith(kind: NodeKind, { sites }: SetContext): ReadonlySet<string> {
  return new Set(sites.filter((at) => kindsAt(at).includes(kind)).map(siteHook));
}

/** Indexes that a term names within a kind; undefined for all. */
export function indexesOf(term: SetTerm, kind: NodeKind): ReadonlySet<number> | undefined {
  const named = { feature: term.features, head: term.heads, neuron: term.neurons };
  const { index } = KINDS[kind];
  const own = index === null ? undefined : named[index];
  return own === undefined ? undefined : new Set(own);
}

/** Positions of a term, ascending; those from the end are negative where prompts have several lengths. */
export function positionsOf({ at = "all" }: SetTerm, { lengths, isGlobal = false }: SetContext): readonly number[] {
  const named = patchPositions(partsOf(at), lengths);
  if (isGlobal) return named.includes(GLOBAL_POSITION) ? [0] : [];
  return named.filter((position) => position !== GLOBAL_POSITION).sort((a, b) => a - b);
}

function generated(term: SetTerm, context: SetContext): NodeLists {
  const positions = positionsOf(term, context);
  const lists = new Map<string, Int32Array>();
  for (const kind of kindsOf(term, context)) {
    const named = indexesOf(term, kind);
    for (const at of sitesOfTerm(term, kind, context)) {
      const width = KINDS[kind].perPosition(sizesAt(context, at));
      const within = [...(named ?? Array(width).keys())].filter((index) => index < width).sort((a, b) => a - b);
      const indexes = new Int32Array(positions.length * within.length);
      positions.forEach((position, p) => {
        within.forEach((index, i) => {
          indexes[p * within.length + i] = position * width + index;
        });
      });
      if (indexes.length > 0) lists.set(nodeHook(at, kind), indexes);
    }
  }
  return lists;
}

/** Whether a node hook is of a term's kinds, at its sites and layers. */
export function hookTest({ layers = "all", site, kind }: SetTerm, { shape }: SetContext): (hook: string) => boolean {
  const named = new Set(layersOfSet({ layers: partsOf(layers) }, shape.nLayers));
  return (hook) => {
    const at = must(parseNodeHook(hook), hook);
    return (
      named.has(at.layer) &&
      (site === undefined || partsOf(site).includes(at.site)) &&
      (kind === undefined || partsOf(kind).includes(at.kind))
    );
  };
}

/** Whether a position is one of a term's; where it names all, those from the end are among them. */
export function positionTest(term: SetTerm, context: SetContext): (position: number) => boolean {
  if (term.at === undefined || (term.at === "all" && context.isGlobal !== true)) return () => true;
  const positions = new Set(positionsOf(term, context));
  return (position) => positions.has(position);
}

/** Nodes of another set at the term's places. */
function narrowed(term: SetTerm, nodes: NodeLists, context: SetContext): NodeLists {
  const [isOfTerm, isThere] = [hookTest(term, context), positionTest(term, context)];
  const widthOf = nodesPerPlace(context);
  return filterLists(nodes, (hook) => {
    if (!isOfTerm(hook)) return () => false;
    const named = indexesOf(term, must(parseNodeHook(hook), hook).kind);
    const width = widthOf(hook);
    return (index) => {
      const position = Math.floor(index / width);
      return isThere(position) && named?.has(index - position * width) !== false;
    };
  });
}

function reaching(nodes: NodeLists, where: string, scoreOf: ScoreOf): NodeLists {
  const { of, relation, value } = must(thresholdOf(where), where);
  return filterLists(nodes, (hook) => {
    const score = scoreOf(hook);
    const measured = of === "abs" ? (index: number): number => Math.abs(score(index)) : score;
    switch (relation) {
      case ">=":
        return (index) => measured(index) >= value;
      case ">":
        return (index) => measured(index) > value;
      case "<=":
        return (index) => measured(index) <= value;
      case "<":
        return (index) => measured(index) < value;
      default:
        return unreachable(relation);
    }
  });
}

/** A node, or the nodes of one index at several positions, with what it is ranked by. */
interface Ranked {
  readonly hook: string;
  readonly indexes: readonly number[];
  readonly strength: number;
}

function strongest(
  nodes: NodeLists,
  term: SetTerm,
  { scoreOf, widthOf }: { readonly scoreOf: ScoreOf; readonly widthOf: (hook: string) => number },
): NodeLists {
  const { per = "layer", top = 0, sign = "abs", over = "each" } = term;
  const nodesAt = (hook: string): AtHook => ({ indexes: must(nodes.get(hook), hook), width: widthOf(hook) });
  const groups = new Map<string, string[]>();
  for (const hook of inOrder(nodes.keys())) {
    const at = must(parseNodeHook(hook), hook);
    const key = { layer: siteHook(at), site: at.site, all: "" }[per];
    groups.set(key, [...(groups.get(key) ?? []), hook]);
  }
  const kept = [...groups.values()].flatMap((hooks) =>
    firstOf(
      hooks.flatMap((hook) =>
        rankedOf(hook, nodesAt(hook), { over, strength: strengthBy(sign), score: scoreOf(hook) }),
      ),
      top,
    ),
  );
  return listsOf(kept.map(({ hook, indexes }) => [hook, indexes]));
}

/** Hooks by layer, site and kind. */
export function inOrder(hooks: Iterable<string>): string[] {
  const placed = [...hooks].map((hook) => ({ hook, ...must(parseNodeHook(hook), hook) }));
  return placed
    .sort(
      (a, b) =>
        a.layer - b.layer ||
        SITES.indexOf(a.site) - SITES.indexOf(b.site) ||
        NODE_KINDS.indexOf(a.kind) - NODE_KINDS.indexOf(b.kind),
    )
    .map(({ hook }) => hook);
}

/** What a score counts for; nodes of the other sign count for nothing, and are last. */
function strengthBy(sign: NonNullable<SetTerm["sign"]>): (score: number) => number {
  return { abs: Math.abs, positive: (score: number) => score, negative: (score: number) => -score }[sign];
}

/** Nodes of a hook, of which each position has `width`. */
interface AtHook {
  readonly indexes: Int32Array;
  readonly width: number;
}

function rankedOf(
  hook: string,
  { indexes, width }: AtHook,
  {
    over,
    strength,
    score,
  }: {
    readonly over: NonNullable<SetTerm["over"]>;
    readonly strength: (score: number) => number;
    readonly score: (index: number) => number;
  },
): Ranked[] {
  if (over === "each")
    return Array.from(indexes, (index) => ({ hook, indexes: [index], strength: strength(score(index)) }));
  const byIndex = new Map<number, number[]>();
  for (const index of indexes) {
    const within = index - Math.floor(index / width) * width;
    byIndex.set(within, [...(byIndex.get(within) ?? []), index]);
  }
  return [...byIndex.values()].map((own) => {
    const scores = own.map(score);
    const one = over === "sum" ? strength(scores.reduce((a, b) => a + b, 0)) : Math.max(...scores.map(strength));
    return { hook, indexes: own, strength: one };
  });
}

/** The `top` first by strength; of equals, those that come first. Sorts only what may be among them. */
function firstOf(ranked: readonly Ranked[], top: number): Ranked[] {
  if (ranked.length <= top) return [...ranked];
  const strengths = Float64Array.from(ranked, ({ strength }) => strength).sort();
  const least = must(strengths[strengths.length - top], "strength");
  return ranked
    .filter(({ strength }) => strength >= least)
    .sort((a, b) => b.strength - a.strength)
    .slice(0, top);
}

function sampled(
  nodes: NodeLists,
  { n, seed, strata = "magnitude" }: NonNullable<SetTerm["sample"]>,
  { context, scoreOf }: { readonly context: SetContext; readonly scoreOf: ScoreOf },
): ResolvedSet {
  const drawn = new Map<string, ReadonlyMap<number, DrawOf>>();
  for (const [hook, indexes] of nodes) {
    const score = scoreOf(hook);
    const frame = Array.from(indexes, (index) => ({ position: 0, index, score: score(index) }));
    const draw = {
      random: n,
      strata,
      seed: seed ?? context.seed,
      label: `set ${hook}${context.isGlobal === true ? ".global" : ""}`,
    };
    const chosen = sampledNodes(frame, draw);
    drawn.set(
      hook,
      new Map(chosen.map(({ index, stratum, inclusionProbability }) => [index, { stratum, inclusionProbability }])),
    );
  }
  return { nodes: filterLists(nodes, (hook) => (index) => drawn.get(hook)?.has(index) === true), drawn };
}
