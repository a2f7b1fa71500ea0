/** @file Work of whole runs of a block of prompts: forward, and backward for scores. */
import { must } from "../base/assert.js";
import { firstDifference, isPaired, type Prompt, type Side, SIDES } from "../nodes/prompt.js";
import type { SiteAt } from "../nodes/site.js";
import { rowCount, sideBatches } from "../nodes/token-rows.js";
import { type Plan, promptsOf, type Shard } from "../plan/plan.js";
import type { ModelConfig } from "../families/family.js";
import {
  afterAttentionWork,
  attendsInOneKernel,
  attentionWork,
  gatherWork,
  layerWork,
  qkvWork,
  sharedLayerWork,
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
  /** Rows that are computed for the clean side alone, and for all sides: null where each is computed by itself. */
  readonly shared: { readonly clean: number | null; readonly all: number | null };
}

/** A shard's prompts as a block. */
export function promptBlockOf(plan: Plan, shard: Shard): PromptBlock {
  return blockOfPrompts(promptsOf(plan, shard));
}

/** Prompts of one length as a block. */
export function blockOfPrompts(prompts: readonly Prompt[]): PromptBlock {
  const positions = must(prompts[0], "prompt").clean.length;
  return {
    prompts: prompts.length,
    positions,
    first: firstDifference(prompts),
    answers: new Set(prompts.flatMap(({ correct, incorrect }) => [correct, ...incorrect])).size,
    paired: isPaired(prompts),
    shared: {
      clean: sharedCount(prompts, SIDES.slice(0, 1)),
      all: sharedCount(prompts, isPaired(prompts) ? SIDES : SIDES.slice(0, 1)),
    },
  };
}

/** Rows of a batch that holds these sides; null where there is none that shares its rows. */
function sharedCount(prompts: readonly Prompt[], sides: readonly Side[]): number | null {
  const ids = sides.map((side) => prompts.map((prompt) => must(prompt[side] ?? undefined, side)));
  const { batches } = sideBatches(ids);
  const [batch] = batches;
  return batches.length > 1 || batch?.rows === null ? null : rowCount(must(batch, "batch"));
}

/** What all programs run on. */
export interface CostModel extends Device {
  readonly config: ModelConfig;
  readonly saes: readonly (SaeSize & SiteAt)[];
}

/** Which sides of a block run. */
export type RunSides = keyof PromptBlock["shared"];

function sideCount({ paired }: PromptBlock, sides: RunSides): number {
  return sides === "all" && paired ? 2 : 1;
}

/** Sides of a block layer by layer. Gives how many rows each batch has. */
export function visitWork(work: Work, model: CostModel, block: PromptBlock, sides: RunSides = "all"): number[] {
  const { config } = model;
  const { prompts, positions, answers } = block;
  const count = sideCount(block, sides);
  const shared = block.shared[sides];
  const batches = shared === null ? Array<number>(count).fill(prompts * positions) : [shared];
  for (const rows of batches) {
    const batch = shared === null ? prompts : count * prompts;
    for (let layer = 0; layer < config.nLayers; layer++)
      if (shared === null) layerWork(work, config, batch, positions);
      else sharedLayerWork(work, config, { batch, positions, rows });
    if (shared !== null) gatherWork(work, config.dModel, batch * positions);
    unembedWork(work, config, batch, answers);
  }
  return batches;
}

/** The same with all sites kept: where rows are shared, each side takes its own. */
export function captureWork(work: Work, model: CostModel, block: PromptBlock, sides: RunSides = "all"): void {
  visitWork(work, model, block, sides);
  if (block.shared[sides] === null) return;
  const { nLayers, dModel, nHeads, headDim } = model.config;
  for (let side = 0; side < sideCount(block, sides); side++) {
    const rows = block.prompts * block.positions;
    gatherWork(work, dModel, rows);
    for (let layer = 0; layer < nLayers; layer++)
      for (const width of [nHeads * headDim, dModel, dModel]) gatherWork(work, width, rows);
  }
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
