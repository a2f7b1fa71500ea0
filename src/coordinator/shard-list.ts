/**
 * @file The shards of a stage: an immutable list whose changes cost the same whatever its length.
 *
 * 1. The shards are leaves of a tree; every node has up to 32 parts.
 * 2. A changed list has new nodes on the way to the changed shard, and shares all others with the list before.
 * 3. Every node counts the shards below it by mark, so that the shards of a mark are found without a look at the others.
 * 4. Shards in the same plain state are one object, and so are leaves of such shards alone: of a million shards that are pending or done the
 *    list holds a few.
 */
import { must } from "../base/assert.js";
import { sharedState, type ShardPhase, type ShardState } from "./shard.js";

/** Parts of a node. */
const WIDTH = 32;

/** What shards are counted and found by: their phase, and whether their last attempt failed. */
export type ShardMark = ShardPhase | "failed";

type Counts = Record<ShardMark, number>;

interface Leaf {
  readonly kind: "leaf";
  readonly shards: readonly ShardState[];
  readonly counts: Readonly<Counts>;
}

interface Branch {
  readonly kind: "branch";
  readonly parts: readonly Tree[];
  /** Shards below each part but the last, which may have fewer. */
  readonly span: number;
  readonly counts: Readonly<Counts>;
}

type Tree = Leaf | Branch;

/** The shards of a stage, by index. */
export class ShardList {
  /** Number of shards. */
  readonly length: number;
  private readonly tree: Tree;

  private constructor(length: number, tree: Tree) {
    this.length = length;
    this.tree = tree;
  }

  /** The list of these shards, in their order. */
  static from(shards: readonly ShardState[]): ShardList {
    return ShardList.of(shards.length, (index) => must(shards[index], "shard"));
  }

  /** The list of `length` shards that `stateOf` tells. */
  static of(length: number, stateOf: (index: number) => ShardState): ShardList {
    return new ShardList(length, treeOf(length, stateOf));
  }

  /** How many shards have each mark. */
  get counts(): Readonly<Record<ShardMark, number>> {
    return this.tree.counts;
  }

  /** The shard at an index that the list has. */
  at(index: number): ShardState {
    return must(shardIn(this.tree, index), `shard ${index} of ${this.length}`);
  }

  /** The list with another shard at an index that it has; this one stays as it is. */
  with(index: number, shard: ShardState): ShardList {
    return new ShardList(this.length, replaceIn(this.tree, index, this.at(index), sharedState(shard)));
  }

  /** Indexes of the shards that have a mark, ascending. Costs as much as there are such shards that the caller takes. */
  indexesOf(mark: ShardMark): Generator<number, void> {
    return indexesIn(this.tree, mark, 0);
  }

  /** All shards in order. */
  [Symbol.iterator](): Generator<ShardState, void> {
    return shardsIn(this.tree);
  }
}

function treeOf(length: number, stateOf: (index: number) => ShardState): Tree {
  let level: Tree[] = [];
  for (let start = 0; start < length; start += WIDTH) {
    const size = Math.min(WIDTH, length - start);
    level.push(sharedLeaf(leafOf(Array.from({ length: size }, (_, i) => sharedState(stateOf(start + i))))));
  }
  for (let span = WIDTH; level.length > 1; span *= WIDTH) level = cut(level).map((parts) => branchOf(parts, span));
  return level[0] ?? leafOf([]);
}

/** Full leaves of one state alone, by that state. */
const uniformLeaves = new WeakMap<ShardState, Leaf>();

/** A leaf of the same shards, which all lists share where these are in one state. */
function sharedLeaf(leaf: Leaf): Leaf {
  const [first] = leaf.shards;
  if (first === undefined || leaf.shards.length < WIDTH || leaf.shards.some((shard) => shard !== first)) return leaf;
  const known = uniformLeaves.get(first) ?? leaf;
  uniformLeaves.set(first, known);
  return known;
}

function cut<T>(items: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(items.length / WIDTH) }, (_, i) => items.slice(i * WIDTH, (i + 1) * WIDTH));
}

function leafOf(shards: readonly ShardState[]): Leaf {
  const counts = noCounts();
  for (const shard of shards) count(counts, shard, 1);
  return { kind: "leaf", shards, counts };
}

function branchOf(parts: readonly Tree[], span: number): Branch {
  const counts = noCounts();
  for (const part of parts) for (const mark of MARKS) counts[mark] += part.counts[mark];
  return { kind: "branch", parts, span, counts };
}

function noCounts(): Counts {
  return { pending: 0, leased: 0, reported: 0, done: 0, quarantined: 0, failed: 0 };
}

const MARKS = Object.keys(noCounts()) as readonly ShardMark[];

function count(counts: Counts, shard: ShardState, by: 1 | -1): void {
  counts[shard.phase] += by;
  if (hasMark(shard, "failed")) counts.failed += by;
}

function hasMark({ phase, failure }: ShardState, mark: ShardMark): boolean {
  return mark === "failed" ? failure !== null : phase === mark;
}

function shardIn(tree: Tree, index: number): ShardState | undefined {
  if (tree.kind === "leaf") return tree.shards[index];
  const part = tree.parts[Math.floor(index / tree.span)];
  return part === undefined ? undefined : shardIn(part, index % tree.span);
}

function replaceIn(tree: Tree, index: number, before: ShardState, after: ShardState): Tree {
  const counts = { ...tree.counts };
  count(counts, before, -1);
  count(counts, after, 1);
  if (tree.kind === "leaf") return sharedLeaf({ ...tree, shards: tree.shards.with(index, after), counts });
  const place = Math.floor(index / tree.span);
  const part = replaceIn(must(tree.parts[place], "part"), index % tree.span, before, after);
  return { ...tree, parts: tree.parts.with(place, part), counts };
}

function* indexesIn(tree: Tree, mark: ShardMark, start: number): Generator<number, void> {
  if (tree.kind === "leaf") {
    for (const [i, shard] of tree.shards.entries()) if (hasMark(shard, mark)) yield start + i;
  } else {
    for (const [i, part] of tree.parts.entries())
      if (part.counts[mark] > 0) yield* indexesIn(part, mark, start + i * tree.span);
  }
}

function* shardsIn(tree: Tree): Generator<ShardState, void> {
  if (tree.kind === "leaf") yield* tree.shards;
  else for (const part of tree.parts) yield* shardsIn(part);
}
