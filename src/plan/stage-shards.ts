/**
 * @file The shards of a stage by a rule, so that a plan of a million shards is as small as one of ten.
 *
 * 1. A stage takes some of the plan's blocks of prompts, in order, and in each block its ranges of slots, in order.
 * 2. Each range is cut into shards of as many slots as have `cells` (prompt, slot) cells with the block's prompts, at least one.
 * 3. Shards are numbered in that order. One is made when it is asked for, from its number; nobody holds a list of all.
 */
import { must } from "../base/assert.js";

/** A unit of work: prompts whose tokens have the same positions, and a range of slots. */
export interface Shard {
  /** As {@link shardId} spells it; also the run-log key. */
  readonly id: string;
  /** Indexes into the plan's prompts, all of one token count, and of one layout of spans. */
  readonly prompts: readonly number[];
  /**
   * Half-open range of what the stage lists, as node slots (truth: rows of nodes.parquet) or evaluations (circuits).
   * Absent where the stage lists nothing.
   */
  readonly slots?: SlotRange;
}

/** A half-open range of slots. */
export type SlotRange = readonly [start: number, end: number];

/** Which shards a stage has, as plan.json holds it. */
export interface ShardRule {
  /** Half-open range of the plan's blocks of prompts; null: what a shard does names no prompts. */
  readonly blocks: readonly [start: number, end: number] | null;
  /** Ranges of slots, no two of which share a shard; absent where the stage lists nothing. */
  readonly slots?: readonly SlotRange[];
  /** (prompt, slot) cells of a shard; absent: each range is one shard. */
  readonly cells?: number;
}

/** The rule of a stage that computes nothing. */
export const NO_SHARDS: ShardRule = { blocks: [0, 0] };

/** Digits that the number of a shard has at least. */
const DIGITS = 5;

/** `<stage>.<number>`: five digits, and more from shard 100,000 on. */
export function shardId(stage: string, index: number): string {
  return `${stage}.${String(index).padStart(DIGITS, "0")}`;
}

/** The stage and the number that an id names; undefined where {@link shardId} spells no shard so. */
export function parseShardId(id: string): { readonly stage: string; readonly index: number } | undefined {
  const [, stage, digits] = /^(.+)\.(\d+)$/.exec(id) ?? [];
  if (stage === undefined) return undefined;
  const index = Number(digits);
  return shardId(stage, index) === id ? { stage, index } : undefined;
}

/** Indexes of a stage, and of a shard in it. */
export interface ShardPlace {
  readonly stage: number;
  readonly shard: number;
}

/** Where stages have the shard with this id; undefined where they have none. */
export function placeOf(
  { stages }: { readonly stages: readonly { readonly id: string; readonly shards: { readonly length: number } }[] },
  id: string,
): ShardPlace | undefined {
  const parsed = parseShardId(id);
  const stage = stages.findIndex((one) => one.id === parsed?.stage);
  const length = stages[stage]?.shards.length ?? 0;
  return parsed !== undefined && parsed.index < length ? { stage, shard: parsed.index } : undefined;
}

/** Shards of the same prompts. */
interface BlockOfShards {
  readonly prompts: readonly number[];
  /** Their number, at least one. */
  readonly count: number;
  readonly first: Shard;
}

/** How a block of some size cuts the ranges of slots. */
interface Cut {
  /** Slots of a shard; the last of a range may have fewer. */
  readonly width: number;
  /** Numbers of the first shard of each range, and last how many shards there are. */
  readonly starts: readonly number[];
}

const NO_PROMPTS: readonly (readonly number[])[] = [[]];

/** The shards of a stage, by index. */
export class StageShards implements Iterable<Shard> {
  /** Number of shards. */
  readonly length: number;
  readonly rule: ShardRule;
  readonly #stage: string;
  readonly #blocks: readonly (readonly number[])[];
  readonly #cuts = new Map<number, Cut>();
  /** Numbers of the first shard of each block, and last how many shards there are. */
  readonly #starts: readonly number[];

  /** @param promptBlocks - the plan's, to which the rule refers. */
  constructor(stage: string, promptBlocks: readonly (readonly number[])[], rule: ShardRule) {
    this.#stage = stage;
    this.rule = rule;
    this.#blocks = rule.blocks === null ? NO_PROMPTS : promptBlocks.slice(...rule.blocks);
    this.#starts = runningSums(this.#blocks.map((prompts) => must(this.#cutFor(prompts).starts.at(-1), "count")));
    this.length = must(this.#starts.at(-1), "count");
  }

  /** The shard at an index that the stage has. */
  at(index: number): Shard {
    if (!Number.isInteger(index) || index < 0 || index >= this.length)
      throw new Error(`bug: shard ${String(index)} of ${String(this.length)} of stage ${this.#stage}`);
    const block = lastAtMost(this.#starts, index);
    const prompts = must(this.#blocks[block], "block");
    const id = shardId(this.#stage, index);
    if (this.rule.slots === undefined) return { id, prompts };
    return { id, prompts, slots: this.#slotsAt(prompts, index - must(this.#starts[block], "start")) };
  }

  /** The index of the shard with this id; undefined where the stage has none. */
  indexOf(id: string): number | undefined {
    const parsed = parseShardId(id);
    return parsed?.stage === this.#stage && parsed.index < this.length ? parsed.index : undefined;
  }

  /** All shards in order, one at a time. */
  *[Symbol.iterator](): Generator<Shard, void> {
    for (let index = 0; index < this.length; index++) yield this.at(index);
  }

  /** The shards of each block of prompts, in order. */
  *byBlock(): Generator<BlockOfShards, void> {
    for (const [block, prompts] of this.#blocks.entries()) {
      const start = must(this.#starts[block], "start");
      const count = must(this.#starts[block + 1], "end") - start;
      if (count > 0) yield { prompts, count, first: this.at(start) };
    }
  }

  /** A stage of the first shard alone. */
  first(promptBlocks: readonly (readonly number[])[]): StageShards {
    if (this.length === 0) return this;
    const block = lastAtMost(this.#starts, 0);
    const { slots } = this.at(0);
    const start = (this.rule.blocks?.[0] ?? 0) + block;
    const blocks = this.rule.blocks === null ? null : ([start, start + 1] as const);
    return new StageShards(this.#stage, promptBlocks, slots === undefined ? { blocks } : { blocks, slots: [slots] });
  }

  #slotsAt(prompts: readonly number[], index: number): SlotRange {
    const { width, starts } = this.#cutFor(prompts);
    const range = lastAtMost(starts, index);
    const [first, end] = must(this.rule.slots?.[range], "range");
    const start = first + (index - must(starts[range], "start")) * width;
    return [start, Math.min(end, start + width)];
  }

  #cutFor({ length }: readonly number[]): Cut {
    const known = this.#cuts.get(length);
    if (known !== undefined) return known;
    const cut = cutOf(this.rule, length);
    this.#cuts.set(length, cut);
    return cut;
  }
}

/** Without a number of cells a shard has more than any range. */
function cutOf({ slots, cells = Number.MAX_SAFE_INTEGER }: ShardRule, prompts: number): Cut {
  const width = Math.max(1, Math.ceil(cells / Math.max(1, prompts)));
  if (slots === undefined) return { width, starts: [0, 1] };
  return { width, starts: runningSums(slots.map(([start, end]) => Math.ceil((end - start) / width))) };
}

/** `[0, a, a + b, ...]`. */
function runningSums(counts: readonly number[]): number[] {
  const sums = [0];
  let sum = 0;
  for (const count of counts) sums.push((sum += count));
  return sums;
}

/** The last of the ascending sums, but for the total, that is at most `index`, which is less than the total. */
function lastAtMost(sums: readonly number[], index: number): number {
  let low = 0;
  let high = sums.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (must(sums[middle], "sum") <= index) low = middle;
    else high = middle;
  }
  return low;
}
