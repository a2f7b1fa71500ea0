/** @file The truth's nodes before they are chosen, and in how many prompts their activations are expected to differ. */
import { must } from "../../base/assert.js";
import { KINDS, type NodeKind } from "../../nodes/kinds.js";
import { GLOBAL_POSITION, type Node, nodeAt, type NodePosition, parseNodeHook } from "../../nodes/node.js";
import { tokenCounts } from "../../plan/held-out.js";
import { nodeListOf } from "../../plan/node-list.js";
import { slotGroups, type SlotGroup } from "../../plan/node-slots.js";
import type { Plan } from "../../plan/plan.js";

/** Share of prompts in which a feature chosen for its score differs, past the first position that does. */
const TOP_DIFFERS = 0.5;
/** The same of a feature drawn from those that differ in at least one prompt. */
const RANDOM_DIFFERS = 0.15;
/** Features active in a row, where the sweep does not say. */
const USUAL_L0 = 100;

/** A slot: its node, and how likely its activation differs in a prompt at a position that differs. */
export interface ExpectedNode {
  readonly node: Node;
  readonly differs: number;
}

/** All slots of the plan's truth in order. What is not sparse differs wherever the tokens before it do. */
export function expectedNodes(plan: Plan): ExpectedNode[] {
  const { sweep, shape, saes } = plan;
  const truth = nodeListOf(sweep);
  if (truth === undefined) return [];
  const lengths = tokenCounts(plan);
  const l0 = sweep.saes !== "none" && typeof sweep.saes.l0 === "number" ? sweep.saes.l0 : USUAL_L0;
  const widest = Math.max(1, ...saes.map(({ dSae }) => dSae));
  const listed = Math.min(RANDOM_DIFFERS, (2 * l0) / widest);
  // Nearly every activation differs from its mean.
  const isSparse = (kind: NodeKind): boolean => KINDS[kind].isSparse && truth.donor !== "mean";
  return slotGroups({ sweep, shape, saes, lengths }).flatMap((group) => {
    if ("nodes" in group) return group.nodes.map((node) => ({ node, differs: isSparse(node.kind) ? listed : 1 }));
    return "choose" in group
      ? chosen(group, lengths.longest, isSparse(group.kind))
      : found(group, isSparse(group.kind));
  });
}

/** Stand-ins for the nodes that scores will choose: spread over the positions, the last ones first. */
function chosen(
  { kind, choose }: Extract<SlotGroup, { choose: unknown }>,
  longest: number,
  isSparse: boolean,
): ExpectedNode[] {
  const { at, top, random, positions } = choose;
  return Array.from({ length: top + random }, (_, i) => {
    const position =
      positions === null ? GLOBAL_POSITION : (positions[positions.length - 1 - (i % positions.length)] ?? longest - 1);
    const node = nodeAt(kind, { ...at, position }, i);
    return { node, differs: !isSparse ? 1 : i < top ? TOP_DIFFERS : RANDOM_DIFFERS };
  });
}

/** Stand-ins for the nodes that a set will name: spread over its sites, and over the positions of each, the last ones first. */
function found({ kind, find }: Extract<SlotGroup, { find: unknown }>, isSparse: boolean): ExpectedNode[] {
  const places = [...find.places].map(([hook, positions]) => ({ hook, positions: [...positions].reverse() }));
  return Array.from({ length: find.most }, (_, i) => {
    const { hook, positions } = must(places[i % places.length], "place");
    const position = must(positions[Math.floor(i / places.length) % positions.length], "position");
    const of: NodePosition = find.isGlobal ? GLOBAL_POSITION : position;
    return {
      node: nodeAt(kind, { ...must(parseNodeHook(hook), hook), position: of }, i),
      differs: isSparse ? TOP_DIFFERS : 1,
    };
  });
}
