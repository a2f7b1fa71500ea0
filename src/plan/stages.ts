/** @file Stages and their shards, cut from the sweep alone: never from the number of workers. */
import type { Prompt } from "../nodes/prompt.js";
import { byLayout } from "./prompt-lengths.js";
import type { Stage, StageTask } from "./plan.js";
import { NO_SHARDS, type ShardRule, type SlotRange, StageShards } from "./stage-shards.js";

/** Row blocks that one shard runs: enough to make leasing cheap, few enough to lose little with a worker. */
const ROW_BLOCKS_PER_SHARD = 2;

/** What a stage has besides its id and task; what is left out is empty. */
export interface StageParts {
  readonly dependsOn?: readonly string[];
  readonly reads?: readonly string[];
  /** The blocks of the plan, where `rule` takes some. */
  readonly promptBlocks?: readonly (readonly number[])[];
  readonly rule?: ShardRule;
}

/** Makes a stage. */
export function stage(id: string, task: StageTask, parts: StageParts = {}): Stage {
  const { dependsOn = [], reads = [], promptBlocks = [], rule = NO_SHARDS } = parts;
  return { id, task, dependsOn, reads, shards: new StageShards(id, promptBlocks, rule) };
}

/**
 * Shards of ranges of slots for each block of prompts, when a block of the engine has `rows` rows and a slot as many as prompts on each of
 * `sides` sides. No shard has slots of two ranges.
 */
export function slotRule(blocks: ShardRule["blocks"], slots: readonly SlotRange[], rows: number, sides = 1): ShardRule {
  return { blocks, slots, cells: (ROW_BLOCKS_PER_SHARD * rows) / sides };
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
