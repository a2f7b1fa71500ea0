/** @file Block shapes from a memory budget. They depend on the sweep and the model alone, never on the machine's load. */
import type { ModelConfig } from "../weights/model-config.js";
import type { Blocks } from "./plan.js";

/** `block_mib: auto`: large enough for the matrix products to run at full rate, small enough for any laptop. */
export const DEFAULT_BLOCK_MIB = 256;

const FLOAT32_BYTES = 4;
const MAX_PROMPTS = 32;
const MAX_ROWS = 1024;

/**
 * Block shapes for a budget of `blockMib` for the activations alive at once (weights come on top).
 * @param longest - largest token count.
 * @param dSae - largest SAE width, 0 without SAEs.
 */
export function blocksFor(config: ModelConfig, longest: number, dSae: number, blockMib: number): Blocks {
  const bytes = blockMib * 2 ** 20;
  const { dModel, dMlp, nLayers, nHeads, headDim } = config;
  const dHeads = nHeads * headDim;
  const attention = 3 * nHeads * longest;
  const layer = 8 * dModel + 4 * dMlp + 4 * dHeads + attention;
  const kept = nLayers * (3 * dModel + 3 * dHeads);
  const perPrompt = longest * FLOAT32_BYTES * (2 * kept + 2 * layer + 4 * dSae);
  const perTruthRow = longest * FLOAT32_BYTES * layer;
  const perCircuitRow = longest * FLOAT32_BYTES * (layer + 4 * dSae);
  const fit = (per: number, most: number): number => Math.max(1, Math.min(most, Math.floor(bytes / per)));
  return {
    prompts: fit(perPrompt, MAX_PROMPTS),
    truthRows: fit(perTruthRow, MAX_ROWS),
    circuitRows: fit(perCircuitRow, MAX_ROWS),
  };
}
