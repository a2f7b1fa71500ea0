/** @file Work of whole runs of a block of prompts: forward, and backward for scores. */
import { must } from "../base/assert.js";
import { firstDifference, isPaired } from "../nodes/prompt.js";
import type { SiteAt } from "../nodes/site.js";
import { type Plan, promptsOf, type Shard } from "../plan/plan.js";
import type { ModelConfig } from "../families/family.js";
import {
  afterAttentionWork,
  attendsInOneKernel,
  attentionWork,
  layerWork,
  qkvWork,
  unembedWork,
} from "./layer-work.js";
import type { SaeSize } from "./sae-work.js";
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

/** A shard's prompts as a block. */
export function promptBlockOf(plan: Plan, shard: Shard): PromptBlock {
  const prompts = promptsOf(plan, shard);
  const positions = must(prompts[0], "prompt").clean.length;
  return {
    prompts: prompts.length,
    positions,
    first: firstDifference(prompts),
    answers: new Set(prompts.flatMap(({ correct, incorrect }) => [correct, ...incorrect])).size,
    paired: isPaired(prompts),
  };
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
export function gradientWork(work: Work, model: CostModel, { prompts, positions }: PromptBlock, layer: number): void {
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
