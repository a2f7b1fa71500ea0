/** @file Work of the fits of errors: the prompts' climb, the SAE, and the host's sums and solution. */
import { must } from "../../base/assert.js";
import type { ShardCost, TaskCost, WorkContext } from "../../cost/counted-task.js";
import { layerWork } from "../../cost/layer-work.js";
import { sumWork } from "../../cost/sae-work.js";
import { Work } from "../../cost/work.js";
import { SIDES } from "../../nodes/prompt.js";
import { promptBlockSize } from "../../plan/memory.js";
import type { Shard } from "../../plan/plan.js";
import { blockRows, fitGroups } from "./fit-blocks.js";
import type { FitTask } from "./task.js";

/** Numbers that the host multiplies and adds in the time in which it reads one byte from the device. */
const PRODUCTS_PER_BYTE = 1;

/** A shard's work, in activation rows. The memory of its largest moment goes with it: blocks are not the plan's own. */
function fitShard({ plan, model, workers }: WorkContext, { sites }: FitTask, shard: Shard): ShardCost {
  const [index] = must(shard.slots, "slots");
  const { layer } = must(sites[index], "site");
  const sae = must(model.saes[index], "SAE");
  const groups = fitGroups(plan);
  const blocks = groups.flat();
  // One group goes on from where this engine's site before it left it.
  const from = groups.length > 1 ? 0 : (sites[index - workers]?.layer ?? 0);
  const work = new Work(model);
  let rows = 0;
  for (const block of blocks) {
    const positions = must(block[0], "prompt").clean.length;
    const oneLayer = new Work(model);
    layerWork(oneLayer, model.config, block.length, positions);
    work.add(oneLayer, SIDES.length * (layer - from + 1));
    const fitted = blockRows(block) - SIDES.length * block.length;
    sumWork(work, sae, fitted);
    rows += fitted;
  }
  const D = sae.dIn;
  work.move("host", rows * D, 1, 0);
  // Sums of products of both, one of them a triangle; then the factor, and D systems forward and back.
  const products = 1.5 * rows * D * D + (1 / 6 + 1) * D * D * D;
  work.move("host", products / (PRODUCTS_PER_BYTE * model.valueBytes), 1, 0);
  const held = Math.max(...groups.map((group) => group.reduce((sum, block) => sum + blockRows(block), 0)));
  const longest = Math.max(...blocks.map((block) => must(block[0], "prompt").clean.length));
  const most = Math.max(...blocks.map(({ length }) => length));
  const shape = { config: model.config, dSae: sae.dSae, positions: longest, ownKernels: model.ownKernels };
  // Three float64 matrices of D by D, each number of which is two of float32.
  const widest = promptBlockSize(shape, most) + held * model.config.dModel + 6 * D * D;
  return { units: rows, work, widest };
}

/** How the work of fits is counted. */
export const FIT_COST: TaskCost<FitTask> = { shard: fitShard, alive: (_shape, { widest }) => widest };
