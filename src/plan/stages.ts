/** @file Stages and their shards, cut from the sweep alone: never from the number of workers. */
import type { Prompt } from "../nodes/prompt.js";
import { byLayout } from "./prompt-lengths.js";
import type { Shard, Stage, StageTask } from "./plan.js";

/** Row blocks that one shard runs: enough to make leasing cheap, few enough to lose little with a worker. */
const ROW_BLOCKS_PER_SHARD = 2;

/** A shard before it has an id. */
export type ShardWork = Omit<Shard, "id">;

/** What a stage has besides its id and task; what is left out is empty. */
export interface StageParts {
  readonly dependsOn?: readonly string[];
  readonly reads?: readonly string[];
  readonly work?: readonly ShardWork[];
}

/** Makes a stage; its shards are numbered in order. */
export function stage(id: string, task: StageTask, { dependsOn = [], reads = [], work = [] }: StageParts): Stage {
  const shards = work.map((shard, i) => ({ id: `${id}.${String(i).padStart(5, "0")}`, ...shard }));
  return { id, task, dependsOn, reads, shards };
}

/**
 * Shards of ranges of slots for each block of prompts, when a block of the engine has `rows` rows and a slot as many as prompts. No shard has
 * slots of two ranges.
 */
export function slotShards(
  promptBlocks: readonly (readonly number[])[],
  slotRanges: readonly (readonly [start: number, end: number])[],
  rows: number,
  sides = 1,
): ShardWork[] {
  return promptBlocks.flatMap((prompts) => {
    const perShard = Math.max(1, Math.ceil((ROW_BLOCKS_PER_SHARD * rows) / (sides * prompts.length)));
    return slotRanges.flatMap(([start, end]) => ranges(start, end, perShard).map((slots) => ({ prompts, slots })));
  });
}

/** Blocks of at most `size` prompts whose tokens have the same positions, lengths ascending, sorted by tokens within. */
export function promptBlocks(prompts: readonly Prompt[], size: number): number[][] {
  return byLayout(prompts).flatMap((members) =>
    ranges(0, members.length, size).map(([start, end]) => members.slice(start, end)),
  );
}

function ranges(start: number, end: number, size: number): (readonly [number, number])[] {
  return Array.from({ length: Math.ceil((end - start) / size) }, (_, i) => [
    start + i * size,
    Math.min(end, start + (i + 1) * size),
  ]);
}
