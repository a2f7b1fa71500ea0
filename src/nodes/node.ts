/** @file A node: one SAE feature, SAE error, whole site or head, at one position or at all positions at once. */
import { nodeHook, type NodeKind, type SiteAt } from "./site.js";

/** Position of a node that is patched at all positions at once. */
export const GLOBAL_POSITION = -1;

/** One row of `nodes.parquet`. */
export interface Node extends SiteAt {
  readonly kind: NodeKind;
  /** 0-based from BOS, or {@link GLOBAL_POSITION}. */
  readonly position: number;
  /** Feature index, or -1. */
  readonly feature: number;
  /** Head index, or -1. */
  readonly head: number;
}

/** Public hook name of the node. */
export function hookOf(node: Node): string {
  return nodeHook(node, node.kind);
}
