/**
 * @file The probe: a plan of the sweep's own programs on the model's first layers, small enough to be run before an estimate.
 *
 * Rates of single operations do not say how fast a program is: between its products it reads lists on the host, waits for memory
 * that nobody has touched, and calls small kernels. So the programs themselves are run, on the sweep's own weights and in the plan's
 * own blocks: fewer rows would share what is read once for all of them, such as decoders. What they take for the work that
 * is counted for them is the estimate's rate for the stages that run the same program.
 */
import { firstDifference, isPaired, type Prompt } from "../nodes/prompt.js";
import { SITES } from "../nodes/site.js";
import { slotGroups, slotCount } from "../plan/node-slots.js";
import { promptBlocks, stagesOf } from "../plan/stages.js";
import type { Plan } from "../plan/plan.js";
import { lengthsOf } from "../plan/prompt-lengths.js";
import type { ModelConfig } from "../families/family.js";

/** One layer that rows join, and one that they climb. */
const LAYERS = 2;

/** The model's first layers. */
export function probeConfig(config: ModelConfig): ModelConfig {
  const nLayers = Math.min(LAYERS, config.nLayers);
  return { ...config, nLayers, layerTypes: config.layerTypes.slice(0, nLayers) };
}

/** The largest number of prompts of one length that the plan puts in a block, and no more. */
function largestBlock({ prompts, blocks }: Pick<Plan, "prompts" | "blocks">): Prompt[] {
  const largest = promptBlocks(prompts, blocks.prompts).sort((a, b) => b.length - a.length)[0] ?? [];
  return largest.flatMap((index) => prompts[index] ?? []);
}

/**
 * The plan's stages for one of its blocks, on the model's first layers: one score, the truth of error nodes (or whole sites) where
 * prompts differ, a circuit. Of each the first shard alone, which blocks bound.
 */
export function probePlan(plan: Plan, config: ModelConfig): Plan {
  const prompts = largestBlock(plan);
  const { nLayers } = probeConfig(config);
  const saes = plan.saes.filter(({ layer }) => layer < nLayers);
  const shape = { ...plan.shape, nLayers };
  const sweep = probeSweep(plan.sweep, prompts, saes.length > 0);
  const lengths = lengthsOf(prompts);
  const slots = sweep.truth === undefined ? [] : slotGroups({ truth: sweep.truth, shape, saes, lengths });
  const inputs = {
    sweep: sweep as unknown as Parameters<typeof stagesOf>[0]["sweep"],
    prompts,
    blocks: plan.blocks,
    slots,
  };
  const stages = stagesOf(inputs)
    .filter(({ task }) => task.kind !== "truth" || !task.floor)
    .map((stage) => ({ ...stage, shards: stage.shards.slice(0, 1) }));
  const nodeSlots = slots.reduce((sum, group) => sum + slotCount(group), 0);
  return { ...plan, sweep, shape, saes, prompts, donors: null, nodeSlots, stages };
}

function probeSweep(sweep: Plan["sweep"], prompts: readonly Prompt[], withSaes: boolean): Plan["sweep"] {
  const { truth, circuits, scores, ...rest } = sweep;
  const all = { sites: [...SITES], layers: "all" as const };
  const first = firstDifference(prompts);
  const positions = Array.from({ length: (prompts[0]?.clean.length ?? 0) - first }, (_, i) => first + i);
  return {
    ...rest,
    scores: scores.slice(0, 1),
    experiments: [],
    ...(truth !== undefined &&
      isPaired(prompts) && { truth: { positions, ...(withSaes ? { errors: all } : { whole_sites: all }) } }),
    ...(circuits !== undefined && { circuits: { ...circuits, thresholds: [1], completeness: false } }),
  };
}
