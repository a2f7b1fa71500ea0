/** @file Which runs circuit evaluation makes and puts together: (evaluation, side, prompt) rows in blocks. Pure: no tensors. */
import { assert } from "../../base/assert.js";
import { ABLATED, RESTORED, type Intervention } from "../../nodes/intervention.js";
import { hasNodes } from "../../nodes/node-states.js";

/** Consecutive rows of one evaluation; its rows are all clean prompts, then all corrupted ones. */
export interface Segment {
  readonly evaluation: number;
  /** First row of the evaluation. */
  readonly start: number;
  readonly count: number;
}

/**
 * Whether an evaluation comes to the same for every prompt and side: a whole resid_post is set to its mean or to zero, so that all
 * rows go on from one activation, and nothing is taken from the prompt's own run after that. One row then stands for all.
 *
 * @param residHooks site hooks of the resid_post sites that circuits are made of.
 */
export function forgetsPrompt(intervention: Intervention, residHooks: readonly string[]): boolean {
  const isAblated = (state: number): boolean => state === ABLATED;
  return (
    residHooks.some((hook) => {
      const site = intervention.get(hook);
      return site !== undefined && site.errors.every(isAblated) && site.features.every(isAblated);
    }) && !hasNodes(intervention, RESTORED)
  );
}

/**
 * Cuts evaluations into blocks of at most `rowsPerBlock` rows, in order. Evaluations stay whole where they fit, so
 * that every row of a block's segment shares one set of masks.
 *
 * @param rows of each evaluation.
 */
export function circuitBlocks(rows: readonly number[], rowsPerBlock: number): Segment[][] {
  assert(rowsPerBlock >= 1, `blocks of ${String(rowsPerBlock)} rows`);
  const blocks: Segment[][] = [];
  let room = 0;
  for (const [evaluation, all] of rows.entries()) {
    if (all <= room) blocks.at(-1)?.push({ evaluation, start: 0, count: all });
    else
      for (let start = 0; start < all; start += rowsPerBlock)
        blocks.push([{ evaluation, start, count: Math.min(rowsPerBlock, all - start) }]);
    room = all <= room ? room - all : all < rowsPerBlock ? rowsPerBlock - all : 0;
  }
  return blocks;
}
