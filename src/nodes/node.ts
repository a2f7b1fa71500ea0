/** @file A node: one SAE feature, SAE error, whole site, head or neuron, at one position or at all positions at once; and its public name. */
import { KINDS, NODE_KINDS, type IndexField, type IndexFieldOf, type NodeKind } from "./kinds.js";
import { parseSiteHook, siteHook, type SiteAt } from "./site.js";

/** Position of a node that is patched at all positions at once. */
export const GLOBAL_POSITION = "global";

/** 0-based from BOS; negative from the end of each prompt, where prompts have several lengths; or {@link GLOBAL_POSITION}. */
export type NodePosition = number | typeof GLOBAL_POSITION;

/** Where a node is. */
export interface NodePlace extends SiteAt {
  readonly position: NodePosition;
}

/** A node of one kind: its place, and its index there where the kind has one. */
export type NodeOf<Kind extends NodeKind> = NodePlace & { readonly kind: Kind } & {
  readonly [Field in IndexFieldOf<Kind>]: number;
};

/** A node of any kind. */
export type Node = { [Kind in NodeKind]: NodeOf<Kind> }[NodeKind];

/** The node of a kind at a place. @param index - tells it apart where a site has several of the kind. */
export function nodeAt(kind: NodeKind, { site, layer, position }: NodePlace, index: number): Node {
  const field = KINDS[kind].index;
  return { kind, site, layer, position, ...(field === null ? {} : { [field]: index }) } as Node;
}

/** The node in prompts of `length` tokens: its position counted from BOS. Undefined where such prompts do not have it. */
export function nodeInPrompt<Named extends Node>(node: Named, length: number): Named | undefined {
  const { position } = node;
  if (position === GLOBAL_POSITION) return node;
  const fromStart = position < 0 ? position + length : position;
  if (fromStart < 0 || fromStart >= length) return undefined;
  return fromStart === position ? node : { ...node, position: fromStart };
}

/** Orders positions: those from BOS, those from the end, then all at once. */
export function comparePositions(a: NodePosition, b: NodePosition): number {
  const rank = (position: NodePosition): number => (position === GLOBAL_POSITION ? 2 : position < 0 ? 1 : 0);
  return rank(a) - rank(b) || Number(a) - Number(b) || 0;
}

/** A text that tells the node apart from all others. */
export function nodeKey(node: Node): string {
  const { index } = KINDS[node.kind];
  return [hookOf(node), node.position, index === null ? "" : indexOf(node, index)].join(" ");
}

/** Public hook name of the node. */
export function hookOf(node: Node): string {
  return nodeHook(node, node.kind);
}

/** The node's index where `field` tells nodes of its kind apart, else undefined. */
export function indexOf(node: Node, field: IndexField): number | undefined {
  const indexes: Partial<Readonly<Record<IndexField, number>>> & NodePlace = node;
  return indexes[field];
}

/** Public name of all nodes of one kind at a site: `blocks.3.hook_mlp_out.hook_sae_error`. */
export function nodeHook(at: SiteAt, kind: NodeKind): string {
  return nodeHookAt(siteHook(at), kind);
}

/** The same where only the site's public name is at hand. */
export function nodeHookAt(hook: string, kind: NodeKind): string {
  return hook + KINDS[kind].hookTail;
}

/** Reads a node hook back; undefined where the text is not one. A plain site hook reads as kind `site`, that of `mlp_post` as `neuron`. */
export function parseNodeHook(hook: string): (SiteAt & { readonly kind: NodeKind }) | undefined {
  const named = parseSiteHook(hook);
  if (named === undefined) return undefined;
  const { site, layer, rest } = named;
  const kind = NODE_KINDS.find((one) => KINDS[one].hookTail === rest && KINDS[one].sites.includes(site));
  return kind === undefined ? undefined : { site, layer, kind };
}
