/**
 * @file The nodes of a set of `truth.nodes` that says more than a plain one.
 *
 * 1. Nodes at single positions and nodes at all positions at once are two sets, each with scores of its own.
 * 2. The set starts as every set does, from nodes that the donor changes; what other sets name stands as it does everywhere.
 * 3. Its own fields follow. Its `sample` draws beside its `top`, from what no set of the truth takes with certainty.
 *
 * A set that goes by no score is known when a run is planned. Another has as many slots as it may come to nodes.
 */
import { must } from "../base/assert.js";
import { NODE_KINDS, type NodeKind } from "../nodes/kinds.js";
import { GLOBAL_POSITION, type Node, nodeAt, type NodePosition, parseNodeHook } from "../nodes/node.js";
import { filterLists, type NodeLists } from "../nodes/node-lists.js";
import { mostNodes, type MostNodes, together } from "./most-nodes.js";
import { nodesPerPlace } from "./node-places.js";
import { isPlain, kindsApart, listedSets, type MeasuredSet } from "./node-sets.js";
import { inOrder, leftBy, NO_NODES, type ResolvedSet, type SetContext, startOf } from "./resolve-set.js";
import { scorelessContext, type SetInputs } from "./set-context.js";
import { isScored, type SetExpression, type SetTerm, termsOf } from "./set-expression.js";
import { placesOfSet } from "./set-places.js";

/** A set of the truth that is not plain, at single positions or at all at once. */
export interface FoundSet {
  readonly set: MeasuredSet;
  readonly isGlobal: boolean;
}

/** The context of such sets. */
export function measuredContext(context: SetContext, isGlobal: boolean): SetContext {
  return { ...context, overlapping: true, isGlobal };
}

/** The sets of a list that are not plain, of each kind apart where they rank or draw; those without places are left out. */
export function foundSets(nodes: readonly SetExpression[] | undefined, inputs: SetInputs): FoundSet[] {
  const context = scorelessContext(inputs);
  return listedSets(nodes)
    .filter(({ set }) => !isPlain(set))
    .flatMap(({ set }) => kindsApart(set))
    .flatMap((set) => [false, true].map((isGlobal) => ({ set, isGlobal })))
    .filter(({ set, isGlobal }) => placesOfSet(set, measuredContext(context, isGlobal)).size > 0);
}

/** A set as a term. */
function termOf(set: MeasuredSet): SetTerm {
  return typeof set === "string" ? { set } : set;
}

/** Whether a set goes by scores, or one that it names. */
export function goesByScores(set: SetExpression, sets: SetContext["sets"]): boolean {
  return termsOf(set, sets).some(isScored);
}

/** How many nodes a set may come to. */
export function mostOfSet(set: MeasuredSet, context: SetContext): MostNodes {
  const { sample, top, ...rest } = termOf(set);
  if (sample === undefined || top === undefined) return mostNodes(set, context);
  return together([mostNodes({ ...rest, top }, context), mostNodes({ ...rest, sample }, context)]);
}

/** Which nodes of a hook are among some. */
export type NodeTest = (hook: string) => (index: number) => boolean;

/** The nodes of a set: those that its rules take, and those that it draws from what is left. */
export interface FoundNodes {
  readonly sure: ResolvedSet;
  /** @param isLeft - for nodes that no set of the truth takes with certainty. */
  readonly draw: (isLeft: NodeTest) => ResolvedSet;
}

/** Resolves a set that may start from the nodes of a frame. */
export function findNodes(set: MeasuredSet, context: SetContext, isInFrame: NodeTest): FoundNodes {
  const term = termOf(set);
  const { nodes, drawn } = startOf(term, context);
  const start = { nodes: filterLists(nodes, isInFrame), drawn };
  const { sample, top, ...rest } = term;
  if (sample === undefined) return { sure: leftBy(term, start, context), draw: () => NO_NODES };
  return {
    sure: top === undefined ? NO_NODES : leftBy({ ...rest, top }, start, context),
    draw: (isLeft) =>
      leftBy({ ...rest, sample }, { nodes: filterLists(start.nodes, isLeft), drawn: start.drawn }, context),
  };
}

/** The node of an index of a hook's list. */
export function nodeOfIndex(hook: string, index: number, context: SetContext): Node {
  const at = must(parseNodeHook(hook), hook);
  const width = nodesPerPlace(context)(hook);
  const within = Math.floor(index / width);
  const position: NodePosition = context.isGlobal === true ? GLOBAL_POSITION : within;
  return nodeAt(at.kind, { site: at.site, layer: at.layer, position }, index - within * width);
}

/** Nodes of one kind, in the order of slots: by layer, site, position and index. */
export function nodesIn(
  lists: NodeLists,
  kind: NodeKind,
  context: SetContext,
): { node: Node; hook: string; index: number }[] {
  return inOrder(lists.keys()).flatMap((hook) => {
    if (must(parseNodeHook(hook), hook).kind !== kind) return [];
    // Positions from the end come after those from BOS.
    const indexes = Array.from(must(lists.get(hook), hook)).sort((a, b) => Number(a < 0) - Number(b < 0) || a - b);
    return indexes.map((index) => ({ node: nodeOfIndex(hook, index, context), hook, index }));
  });
}

/** Kinds of the hooks that a set has nodes at. */
export function kindsAtPlaces(places: ReadonlyMap<string, unknown>): NodeKind[] {
  const kinds = new Set([...places.keys()].map((hook) => must(parseNodeHook(hook), hook).kind));
  return NODE_KINDS.filter((kind) => kinds.has(kind));
}
