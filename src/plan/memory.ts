/**
 * @file How many numbers are alive at once in each program: what blocks are sized by, and what an estimate says of memory.
 *
 * A layer's widest moment is its MLP: gate, GELU and up projection of every row. A patched or spliced row also keeps what its
 * attention made, and a gradient keeps both passes. test/numeric/cost.test.ts holds these formulas to what tensors really take.
 */
import type { ModelConfig } from "../families/family.js";

/** Numbers in the largest tensor that a chunk of an SAE's rows makes. Fixed, so that shapes, and with them bits, depend on the plan alone. */
export const CHUNK_SIZE = 4 * 1024 * 1024;

/** Sizes that decide how much is alive. */
export interface MemoryShape {
  readonly config: ModelConfig;
  /** Largest SAE width, 0 without SAEs. */
  readonly dSae: number;
  /** Tokens of the longest prompt. */
  readonly positions: number;
  /** The backend has kernels of our own for norms, GELU, rope and attention, which make fewer arrays on their way. */
  readonly ownKernels: boolean;
  /** Neurons are scored: a block's scores, and their payload, are then the largest arrays. */
  readonly neurons?: boolean;
}

/** Arrays of a row's width that are alive in an encoder. */
const ENCODER_ARRAYS = 6;

/** Sites of one run and one row, all layers: what attribution keeps. */
function keptPerRow({ nLayers, dModel: D, nHeads, headDim }: ModelConfig): number {
  return D + nLayers * (2 * D + nHeads * headDim);
}

/** A layer's products that a run keeps for its backward pass, all layers, per row. */
function productsPerRow({ nLayers, dModel: D, dMlp: M, nHeads: N, nKvHeads: K, headDim: H }: ModelConfig): number {
  return nLayers * (N * H + 2 * K * H + 2 * D + 2 * M);
}

/** A forward pass, per row. */
function forwardPerRow({ config: { dModel: D, dMlp: M }, ownKernels }: MemoryShape): number {
  return ownKernels ? 3 * M + 3 * D : 9 * M + 7 * D;
}

/** A layer forward and backward, per row. */
function backwardPerRow({ config: { dModel: D, dMlp: M }, ownKernels }: MemoryShape): number {
  return ownKernels ? 10 * M + 2 * D : 26 * M + 14 * D;
}

/** A layer of rows that are patched or spliced, per row. */
function patchedPerRow({ config, positions, ownKernels }: MemoryShape): number {
  const { dModel: D, dMlp: M, nHeads: N, nKvHeads: K, headDim: H } = config;
  if (ownKernels) return 3 * M + 14 * D + 6 * N * H + 12 * K * H + 7 * N * positions;
  return 9 * M + 27 * D + 9 * N * H + 12 * K * H + 7 * N * positions;
}

/** Numbers alive while a block of prompts is run, scored or averaged, transposed weights left out. */
export function promptBlockSize(shape: MemoryShape, prompts: number): number {
  const { config, dSae, positions, neurons = false } = shape;
  const rows = prompts * positions;
  const layer = Math.max(forwardPerRow(shape), backwardPerRow(shape)) * rows;
  const onHost = neurons ? 2 * neuronScores(config, rows) : 0;
  return (2 * keptPerRow(config) + productsPerRow(config)) * rows + Math.max(layer, encoderSize(dSae, rows)) + onHost;
}

/** Scores of every neuron in some rows. */
export function neuronScores({ nLayers, dMlp }: Pick<ModelConfig, "nLayers" | "dMlp">, rows: number): number {
  return nLayers * dMlp * rows;
}

/** Numbers alive while a block of patched rows that carry `positions` each climbs the layers, beside the unpatched runs. */
export function truthBlockSize(shape: MemoryShape, rows: number, positions: number = shape.positions): number {
  return patchedPerRow(shape) * rows * positions;
}

/** Numbers alive while a block of circuit rows climbs the layers. */
export function circuitBlockSize(shape: MemoryShape, rows: number): number {
  return (patchedPerRow(shape) + ENCODER_ARRAYS * shape.dSae * LIVE_COLUMNS) * rows * shape.positions;
}

/** Share of an SAE's features that circuits keep at a site: most keep few. */
const LIVE_COLUMNS = 0.1;

/** Numbers of the unpatched runs of a block: both sides' sites, the clean queries, keys and values, deltas of every site. */
export function unpatchedSize({ config, positions }: MemoryShape, prompts: number): number {
  const { nLayers, nHeads, nKvHeads, headDim, dModel } = config;
  const perRow = 2 * keptPerRow(config) + nLayers * ((nHeads + 2 * nKvHeads) * headDim + 3 * dModel);
  return perRow * prompts * positions;
}

/** Numbers alive while rows of an SAE's site are encoded. */
export function encoderSize(dSae: number, rows: number): number {
  return ENCODER_ARRAYS * Math.min(rows * dSae, Math.max(CHUNK_SIZE, dSae));
}
