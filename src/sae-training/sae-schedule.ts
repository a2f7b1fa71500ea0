/**
 * @file Which sequences run through the model together, and how many of them fill the buffer: fixed before training starts.
 *
 * 1. Each pass over the text shuffles its sequences, puts those of one length into blocks, and shuffles the blocks.
 * 2. Blocks fill the buffer one after another; when the next one does not fit, the rows are trained on in shuffled order.
 */
import { assert, must } from "../base/assert.js";
import { createRng } from "../base/rng.js";
import type { Sequences } from "./training-text.js";

/** Sequences of one length that run through the model together. */
export interface Block {
  readonly sequences: Sequences;
  /** Tokens that are trained on: all but BOS and padding. */
  readonly rows: number;
}

/** One fill of the buffer. */
export interface Fill {
  readonly blocks: readonly Block[];
  readonly rows: number;
  /** Steps that use all of its rows once. */
  readonly steps: number;
  /** The first of them, counted over all fills. */
  readonly firstStep: number;
}

/** What decides a schedule. */
export interface ScheduleOptions {
  readonly seed: number;
  /** Rows to train on; more than the text has means further passes over it. */
  readonly tokens: number;
  /** Rows that the buffer holds. */
  readonly bufferRows: number;
  /** Tokens of a block, BOS included. */
  readonly blockTokens: number;
  /** Rows of a step, about: the rows of a fill are shared out evenly. */
  readonly batchRows: number;
  /** Tokens that are never trained on. */
  readonly skip: ReadonlySet<number>;
}

/** The fills that train on at least `tokens` rows. */
export function scheduleFills(sequences: Sequences, options: ScheduleOptions): Fill[] {
  const { tokens, bufferRows, batchRows } = options;
  const fills: Fill[] = [];
  let blocks: Block[] = [];
  let [rows, total, firstStep] = [0, 0, 0];
  const close = (): void => {
    const steps = Math.max(1, Math.round(rows / batchRows));
    fills.push({ blocks, rows, steps, firstStep });
    firstStep += steps;
    blocks = [];
    rows = 0;
  };
  for (let pass = 0; total < tokens; pass++) {
    const ofPass = blocksOfPass(sequences, pass, options);
    assert(ofPass.length > 0, "the text has tokens to train on");
    for (const block of ofPass) {
      if (total >= tokens) break;
      if (rows > 0 && rows + block.rows > bufferRows) close();
      blocks.push(block);
      rows += block.rows;
      total += block.rows;
    }
  }
  close();
  return fills;
}

/** The blocks of one pass over the sequences. */
export function blocksOfPass(
  sequences: Sequences,
  pass: number,
  { seed, blockTokens, skip }: Pick<ScheduleOptions, "seed" | "blockTokens" | "skip">,
): Block[] {
  const rng = createRng(seed, "sae pass", pass);
  const byLength = new Map<number, (readonly number[])[]>();
  for (const sequence of rng.shuffle(sequences)) {
    const alike = byLength.get(sequence.length);
    if (alike === undefined) byLength.set(sequence.length, [sequence]);
    else alike.push(sequence);
  }
  const blocks: Block[] = [];
  for (const [length, alike] of byLength) {
    const count = Math.max(1, Math.floor(blockTokens / length));
    for (let from = 0; from < alike.length; from += count) {
      const together = alike.slice(from, from + count);
      const rows = together.reduce((sum, sequence) => sum + sequence.filter((id) => !skip.has(id)).length, 0);
      if (rows > 0) blocks.push({ sequences: together, rows });
    }
  }
  return rng.shuffle(blocks);
}

/** Rows of a fill in the order they are trained on, one list for each step, of nearly equal lengths. */
export function batchesOfFill({ rows, steps, firstStep }: Fill, seed: number): Uint32Array[] {
  const order = Uint32Array.from(
    createRng(seed, "sae buffer", firstStep).shuffle(Array.from({ length: rows }, (_, row) => row)),
  );
  return Array.from({ length: steps }, (_, i) =>
    order.subarray(Math.floor((i * rows) / steps), Math.floor(((i + 1) * rows) / steps)),
  );
}

/** Steps of all fills. */
export function stepsOf(fills: readonly Fill[]): number {
  const last = must(fills.at(-1), "fill");
  return last.firstStep + last.steps;
}
