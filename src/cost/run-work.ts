/** @file Work of whole runs of a block of prompts: forward, and backward for scores. */
import { allSites, type SiteAt, SITES } from "../nodes/site.js";
import { gradientsPerSite, SCORE_METHODS } from "../plan/score-methods.js";
import type { ScoreSpec } from "../plan/sweep.js";
import { type ModelConfig, siteWidth } from "../families/family.js";
import {
  afterAttentionWork,
  attendsInOneKernel,
  attentionWork,
  layerWork,
  qkvWork,
  unembedWork,
} from "./layer-work.js";
import { changeWork, sumWork, type SaeSize } from "./sae-work.js";
import { type Device, Work } from "./work.js";

/** A block of prompts of one length. */
export interface PromptBlock {
  readonly prompts: number;
  /** Tokens of each. */
  readonly positions: number;
  /** First position at which a clean prompt differs from its corrupted twin. */
  readonly first: number;
  /** Different answer tokens. */
  readonly answers: number;
  readonly paired: boolean;
}

/** What all programs run on. */
export interface CostModel extends Device {
  readonly config: ModelConfig;
  readonly saes: readonly (SaeSize & SiteAt)[];
}

/** One side of a block, all sites kept. */
export function captureWork(work: Work, { config }: CostModel, { prompts, positions, answers }: PromptBlock): void {
  for (let layer = 0; layer < config.nLayers; layer++) layerWork(work, config, prompts, positions);
  unembedWork(work, config, prompts, answers);
}

/** Means of a block. */
export function meansWork(model: CostModel, block: PromptBlock): Work {
  const work = new Work(model);
  for (let side = 0; side < (block.paired ? 2 : 1); side++) {
    captureWork(work, model, block);
    for (const sae of model.saes) sumWork(work, sae, block.prompts * block.positions);
  }
  return work;
}

/** Kernel calls and traffic of a backward pass, relative to its forward pass. */
const BACKWARD_CALLS = 3.5;
const BACKWARD_TRAFFIC = 2;

/** The gradient of what `forward` computes: a product passes back one gradient where its second factor is a weight, else two. */
function backwardWork(work: Work, forward: Work): void {
  for (const { product, times } of forward.products.values())
    for (let time = 0; time < times; time++) {
      const { of, m, k, n, batch } = product;
      work.product(of, m, n, k, batch);
      if (of === "attention") work.product(of, k, m, n, batch);
    }
  const rest = new Work(forward.device);
  rest.add(forward);
  rest.products.clear();
  rest.calls -= [...forward.products.values()].reduce((sum, { times }) => sum + times, 0);
  work.add(rest, BACKWARD_TRAFFIC);
  work.calls += (BACKWARD_CALLS - BACKWARD_TRAFFIC) * rest.calls;
}

/** Gradients at every site of a layer: both halves run again but for the products that were kept, then backward. */
function gradientWork(work: Work, model: CostModel, { prompts, positions }: PromptBlock, layer: number): void {
  const { config } = model;
  const isLast = layer === config.nLayers - 1;
  const forward = new Work(model);
  afterAttentionWork(forward, config, prompts * (isLast ? 1 : positions));
  if (layer > 0) {
    qkvWork(forward, config, prompts * positions);
    attentionWork(forward, config, prompts, positions, positions);
  }
  backwardWork(work, forward);
  if (layer > 0 && attendsInOneKernel(work.device, positions)) {
    const { nHeads: N, nKvHeads: K, headDim: H } = config;
    work.product("attention", (N / K) * positions, H, positions, prompts * K);
  }
  for (const [shape, { product }] of forward.products) if (product.of === "layers") forward.products.delete(shape);
  work.add(forward);
  work.move("arithmetic", prompts * positions * config.dModel, 3, 1);
  if (isLast) work.move("copy", prompts * positions * (2 * config.dModel + config.nHeads * config.headDim), 2, 20);
}

/** Scores of a block. */
export function scoresWork(model: CostModel, block: PromptBlock, score: ScoreSpec): Work {
  const work = new Work(model);
  const { donor, hasComponents } = SCORE_METHODS[score.method];
  const donors = donor === "zero" ? 0 : 1;
  for (let side = 0; side <= donors; side++) captureWork(work, model, block);
  for (let layer = 0; layer < model.config.nLayers; layer++) gradientWork(work, model, block, layer);
  const beyondClean = gradientsPerSite(score) - 1;
  if (beyondClean > 0) lineWork(work, model, block, beyondClean);
  const { config } = model;
  const rows = block.prompts * block.positions;
  const later = block.prompts * (block.positions - (donors === 0 ? 0 : Math.min(block.first, block.positions - 1)));
  for (const at of allSites(config.nLayers)) {
    const width = siteWidth(at, config);
    work.move("arithmetic", rows * width, 10, 8);
    if (hasComponents) work.move("arithmetic", rows * width, 3, 3);
  }
  for (const sae of model.saes) {
    work.move("copy", later * sae.dIn, 6, 9);
    changeWork(work, sae, later, { donors, scored: true });
    work.move("arithmetic", later * sae.dIn, hasComponents ? 7 : 4, hasComponents ? 6 : 3);
  }
  return work;
}

/** Integrated gradients: for each site and each step away from the clean run the layers above run forward and backward. */
function lineWork(work: Work, model: CostModel, block: PromptBlock, steps: number): void {
  const { config } = model;
  for (let layer = 0; layer < config.nLayers; layer++) {
    const step = new Work(model);
    for (let above = layer + 1; above < config.nLayers; above++) {
      layerWork(step, config, block.prompts, block.positions);
      gradientWork(step, model, block, above);
    }
    unembedWork(step, config, block.prompts, block.answers);
    afterAttentionWork(step, config, block.prompts * block.positions);
    work.add(step, SITES.length * steps);
  }
}
