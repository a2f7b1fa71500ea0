/**
 * @file Sets of nodes as sorted lists. An index is `position * nodes at a position + index of the node`; where a position counts from the
 * end of each prompt, it is below 0.
 */

/** By node hook: indexes without repeats, ascending. Hooks without nodes are left out. */
export type NodeLists = ReadonlyMap<string, Int32Array>;

/** Lists of indexes that are in any order and may repeat. */
export function listsOf(indexes: Iterable<readonly [hook: string, indexes: Iterable<number>]>): NodeLists {
  const found = new Map<string, Set<number>>();
  for (const [hook, own] of indexes) {
    const known = found.get(hook) ?? new Set<number>();
    found.set(hook, known);
    for (const index of own) known.add(index);
  }
  const lists = new Map<string, Int32Array>();
  for (const [hook, known] of found) if (known.size > 0) lists.set(hook, Int32Array.from(known).sort());
  return lists;
}

/** Every node of any of the sets. */
export function unionOf(sets: readonly NodeLists[]): NodeLists {
  const [first] = sets;
  return sets.length === 1 && first !== undefined ? first : listsOf(sets.flatMap((set) => [...set]));
}

/** The nodes of one set that are not in another. */
export function without(set: NodeLists, taken: NodeLists): NodeLists {
  return filterLists(set, (hook) => {
    const away = new Set(taken.get(hook));
    return away.size === 0 ? () => true : (index) => !away.has(index);
  });
}

/** The nodes that are in both sets. */
export function intersection(a: NodeLists, b: NodeLists): NodeLists {
  return filterLists(a, (hook) => {
    const other = new Set(b.get(hook));
    return (index) => other.has(index);
  });
}

/** The nodes that a test of their hook lets through. */
export function filterLists(set: NodeLists, testOf: (hook: string) => (index: number) => boolean): NodeLists {
  const lists = new Map<string, Int32Array>();
  for (const [hook, indexes] of set) {
    const kept = indexes.filter(testOf(hook));
    if (kept.length > 0) lists.set(hook, kept);
  }
  return lists;
}

/** Number of nodes. */
export function sizeOfLists(set: NodeLists): number {
  let size = 0;
  for (const indexes of set.values()) size += indexes.length;
  return size;
}
