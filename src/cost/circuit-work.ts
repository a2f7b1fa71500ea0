/** @file Work of circuit evaluation: a block of (evaluation, side, prompt) rows through the spliced model. */
import { rowChunks } from "../attribution/row-chunks.js";
import { attendOutputWork, attentionWork, mlpWork, qkvWork, unembedWork } from "./layer-work.js";
import type { CostModel, PromptBlock } from "./run-work.js";
import { listedSumWork, type SaeSize } from "./sae-work.js";
import { Work } from "./work.js";

/** What an evaluation does at each site, as far as it costs. */
export interface EvaluationCost {
  /** Nothing is changed. */
  readonly untouched: boolean;
  /** Share of the sites' positions at which all features are encoded and decoded; */
  readonly dense: number;
  /** elsewhere only these are, as a share of all. */
  readonly columns: number;
  /** Ablated nodes take means. */
  readonly constants: boolean;
}

/** Rows of one evaluation in a block. */
export interface CostSegment {
  readonly rows: number;
  readonly evaluation: EvaluationCost;
}

/** One block through all layers; every site has its SAE's splice. */
export function circuitBlockWork(
  model: CostModel,
  { positions, answers }: PromptBlock,
  segments: readonly CostSegment[],
): Work {
  const { config } = model;
  const work = new Work(model);
  const rows = segments.reduce((sum, segment) => sum + segment.rows, 0);
  work.move("copy", rows * positions * config.dModel, 2, 1);
  for (let layer = 0; layer < config.nLayers; layer++) {
    const out = layer === config.nLayers - 1 ? 1 : positions;
    qkvWork(work, config, rows * positions);
    attentionWork(work, config, rows, out, positions);
    attendOutputWork(work, config, rows * out);
    mlpWork(work, config, rows * out);
    work.move("arithmetic", rows * out * config.dModel, 3, 1);
    for (const sae of model.saes) if (sae.layer === layer) spliceWork(work, sae, out, segments);
  }
  unembedWork(work, config, rows, answers);
  return work;
}

/** Splices one site of every segment. */
function spliceWork(work: Work, sae: SaeSize, positions: number, segments: readonly CostSegment[]): void {
  if (segments.every(({ evaluation }) => evaluation.untouched)) return;
  const { dIn: D, dSae: F } = sae;
  const total = segments.reduce((sum, { rows }) => sum + rows, 0) * positions;
  for (const { rows, evaluation } of segments) {
    const flat = rows * positions;
    work.move("copy", flat * D, 2, 1);
    if (evaluation.untouched) continue;
    const dense = Math.round(flat * evaluation.dense);
    if (dense > 0 && work.device.ownKernels) listedSumWork(work, sae, dense);
    else encodedWork(work, dense, D, F);
    const n = Math.round(F * evaluation.columns);
    if (n > 0 && dense < flat) {
      work.move("copy", n * D, 4, 4);
      encodedWork(work, flat - dense, D, n);
    }
    work.move("arithmetic", flat * D, 5, 6);
    if (evaluation.constants) work.move("arithmetic", flat * D, 2, 0);
  }
  const constants = segments.filter(({ evaluation }) => !evaluation.untouched && evaluation.constants).length;
  for (const { count } of rowChunks(constants, positions * F)) work.product("decode", count * positions, F, D);
  work.move("copy", total * D, 2, 1);
}

/** Encodes and decodes `n` features of some rows. */
function encodedWork(work: Work, rows: number, D: number, n: number): void {
  if (rows === 0 || n === 0) return;
  work.product("encode", rows, D, n);
  work.move("arithmetic", rows * n, 10, 8);
  work.product("decode", rows, n, D);
}
