/** @file Which rows of the node list a record holds. */
import { must } from "../../base/assert.js";
import type { Shard } from "../../plan/plan.js";
import type { ListedNode } from "./node-table.js";

/** The rows of the list whose slots a record holds, where in the record each stands, and how many slots it has. */
export function listedSlots(
  shard: Shard,
  nodes: readonly ListedNode[],
): { readonly start: number; readonly end: number; readonly width: number; readonly column: (n: number) => number } {
  const [first, last] = must(shard.slots, "slots");
  const [start, end] = [rowOfSlot(nodes, first), rowOfSlot(nodes, last)];
  return { start, end, width: last - first, column: (n) => must(nodes[n], "node").slot - first };
}

/** The first row whose slot is at least this one; rows are in the order of slots. */
function rowOfSlot(nodes: readonly ListedNode[], slot: number): number {
  let [low, high] = [0, nodes.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (must(nodes[middle], "node").slot < slot) low = middle + 1;
    else high = middle;
  }
  return low;
}
