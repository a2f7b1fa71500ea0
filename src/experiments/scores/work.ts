/** @file Work of scores. */
import type { ShardCost } from "../../cost/counted-task.js";
import { afterAttentionWork, layerWork, neuronsAgainWork, unembedWork } from "../../cost/layer-work.js";
import { captureWork, type CostModel, gradientWork, type PromptBlock, promptBlockOf } from "../../cost/run-work.js";
import { changeWork, type SaeSize } from "../../cost/sae-work.js";
import { Work } from "../../cost/work.js";
import { saeSites, SAE_SITES } from "../../nodes/site.js";
import type { Plan, Shard } from "../../plan/plan.js";
import { fitOf } from "../../plan/fit-spec.js";
import { gradientsPerSite } from "../../methods/score-method.js";
import { scoresNeurons } from "../../sweep/sweep.js";
import { siteWidth } from "../../families/family.js";
import type { ScoreWay } from "./scores.js";

/** A shard's work, in prompts. */
export function scoresShardWork(model: CostModel, plan: Plan, shard: Shard, way: ScoreWay): ShardCost {
  const block = promptBlockOf(plan, shard);
  return { units: block.prompts, work: scoresWork(model, block, way, fitOf(plan.sweep) !== undefined) };
}

/** Scores of a block. @param isSplit errors are split, and their parts scored too. */
export function scoresWork(model: CostModel, block: PromptBlock, { score, method }: ScoreWay, isSplit = false): Work {
  const work = new Work(model);
  const { donor, hasComponents } = method;
  const donors = donor === "zero" ? 0 : 1;
  captureWork(work, model, block, donors === 0 ? "clean" : "all");
  for (let layer = 0; layer < model.config.nLayers; layer++) gradientWork(work, model, block, layer);
  const beyondClean = gradientsPerSite(method, score) - 1;
  // Neurons take the clean run's gradient from the line too.
  const ofNeurons = scoresNeurons(score) ? beyondClean + 1 : 0;
  if (beyondClean > 0) lineWork(work, model, block, beyondClean * SAE_SITES.length + ofNeurons);
  const { config } = model;
  const rows = block.prompts * block.positions;
  const later = block.prompts * (block.positions - (donors === 0 ? 0 : Math.min(block.first, block.positions - 1)));
  for (const at of saeSites(config.nLayers)) {
    const width = siteWidth(at, config);
    work.move("arithmetic", rows * width, 10, 8);
    if (hasComponents) work.move("arithmetic", rows * width, 3, 3);
  }
  // Those of a line are computed for its ends too.
  if (scoresNeurons(score)) neuronWork(work, model, rows, beyondClean > 0 ? 2 * donors + 1 : donors);
  for (const sae of model.saes) {
    work.move("copy", later * sae.dIn, 6, 9);
    changeWork(work, sae, later, { donors, scored: true });
    work.move("arithmetic", later * sae.dIn, hasComponents ? 7 : 4, hasComponents ? 6 : 3);
    if (isSplit) addParts(work, sae, later, donors);
  }
  return work;
}

/** Scores of both parts of an SAE's errors. */
function addParts(work: Work, { dIn: D }: SaeSize, rows: number, donors: number): void {
  work.product("layers", rows, D, D);
  work.move("arithmetic", rows * D, donors === 0 ? 5 : 3, donors === 0 ? 2 : 1);
  work.move("arithmetic", rows * D, 3 + 8, 1 + 6);
}

/** Integrated gradients: for each gradient at a site away from the clean run the layers above run forward and backward. */
function lineWork(work: Work, model: CostModel, block: PromptBlock, gradients: number): void {
  const { config } = model;
  const rows = block.prompts * block.positions;
  for (let layer = 0; layer < config.nLayers; layer++) {
    const step = new Work(model);
    for (let above = layer + 1; above < config.nLayers; above++) {
      layerWork(step, config, block.prompts, block.positions);
      gradientWork(step, model, block, above);
    }
    // Forward for the metric, and forward and back for its gradient.
    for (let pass = 0; pass < 3; pass++) unembedWork(step, config, block.prompts, block.answers);
    afterAttentionWork(step, config, rows);
    // The point of the line, the sum of gradients, and what a tape copies.
    step.move("arithmetic", rows * config.dModel, 9, 12);
    work.add(step, gradients);
  }
}

/** Neurons: computed again in the clean run and `more` times, and their gradient through the down projection. */
function neuronWork(work: Work, model: CostModel, rows: number, more: number): void {
  const { nLayers, dModel: D, dMlp: M } = model.config;
  const layer = new Work(model);
  for (let run = 0; run <= more; run++) neuronsAgainWork(layer, model.config, rows);
  layer.product("layers", rows, D, M);
  layer.move("arithmetic", rows * M, 8, 3);
  work.add(layer, nLayers);
}
