/** @file The fit's prompts in blocks, and blocks in groups that climb the layers together. Pure: no tensors. */
import { must } from "../../base/assert.js";
import { SIDES, type Prompt } from "../../nodes/prompt.js";
import type { Plan } from "../../plan/plan.js";
import { promptBlocks } from "../../plan/stages.js";

/** Prompts of one length. */
export type FitBlock = readonly Prompt[];

/** Share of a block's memory that the residual streams of a group take. */
const GROUP_SHARE = 0.5;

/** Residual streams of a plan's block memory, in rows. */
export function groupRows({ engine, shape }: Pick<Plan, "engine" | "shape">): number {
  return (GROUP_SHARE * engine.blockMib * 2 ** 20) / (shape.dModel * Float32Array.BYTES_PER_ELEMENT);
}

/** Rows of both sides of a block. */
export function blockRows(block: FitBlock): number {
  return SIDES.length * block.length * must(block[0], "prompt").clean.length;
}

/** All blocks in order, in groups whose residual streams fit into memory at once; a block is never cut. */
export function fitGroups(plan: Plan): FitBlock[][] {
  const prompts = plan.fitPrompts ?? [];
  const most = groupRows(plan);
  const groups: FitBlock[][] = [];
  let room = 0;
  for (const indexes of promptBlocks(prompts, plan.blocks.prompts)) {
    const block = indexes.map((index) => must(prompts[index], "prompt"));
    const rows = blockRows(block);
    if (groups.length === 0 || rows > room) {
      groups.push([]);
      room = most;
    }
    must(groups[groups.length - 1], "group").push(block);
    room -= rows;
  }
  return groups;
}
