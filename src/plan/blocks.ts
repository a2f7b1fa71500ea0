/** @file Block shapes from a memory budget. They depend on the sweep and the model alone, never on the machine's load. */
import {
  circuitBlockSize,
  type MemoryShape,
  neuronScores,
  promptBlockSize,
  truthBlockSize,
  unpatchedSize,
} from "./memory.js";
import type { Blocks } from "./plan.js";

/** `block_mib: auto`: large enough for the matrix products to run at full rate, small enough for any laptop. */
export const DEFAULT_BLOCK_MIB = 1024;

const MAX_PROMPTS = 32;
const MAX_ROWS = 1024;
/** Scores of neurons in one payload, which a log holds and a coordinator reads whole. */
const MOST_SCORE_BYTES = 256 * 2 ** 20;

/**
 * Block shapes for a budget of `blockMib` for the activations alive at once (weights come on top). They are the same on every
 * backend; one with kernels of our own needs less.
 */
export function blocksFor(sizes: Omit<MemoryShape, "ownKernels">, blockMib: number, valueBytes = 4): Blocks {
  const shape = { ...sizes, ownKernels: false };
  const budget = (blockMib * 2 ** 20) / valueBytes;
  const largest = (most: number, size: (count: number) => number): number => {
    let count = most;
    while (count > 1 && size(count) > budget) count -= 1;
    return count;
  };
  const fits = (count: number): boolean =>
    shape.neurons !== true || neuronScores(shape.config, count * shape.positions) * valueBytes <= MOST_SCORE_BYTES;
  // Half of the budget is for patched rows: with few of them at once, a model that is read from disk would be read for each few.
  const prompts = largest(MAX_PROMPTS, (count) =>
    fits(count) ? Math.max(promptBlockSize(shape, count), 2 * unpatchedSize(shape, count)) : Infinity,
  );
  return {
    prompts,
    truthRows: largest(MAX_ROWS, (rows) => unpatchedSize(shape, prompts) + truthBlockSize(shape, rows)),
    circuitRows: largest(MAX_ROWS, (rows) => unpatchedSize(shape, prompts) + circuitBlockSize(shape, rows)),
  };
}
