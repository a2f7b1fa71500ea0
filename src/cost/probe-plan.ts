/**
 * @file The probe: a plan of the sweep's own programs on the model's first layers, small enough to be run before an estimate.
 *
 * Rates of single operations do not say how fast a program is: between its products it reads lists on the host, waits for memory
 * that nobody has touched, and calls small kernels. So the programs themselves are run, on the sweep's own weights and in the plan's
 * own blocks: fewer rows would share what is read once for all of them, such as decoders. What they take for the work that
 * is counted for them is the estimate's rate for the stages that run the same program.
 */
import { isPaired, type Prompt } from "../nodes/prompt.js";
import { stagesOf } from "../plan/make-plan.js";
import { promptBlocks } from "../plan/stages.js";
import type { Plan } from "../plan/plan.js";
import { tokenCounts } from "../plan/held-out.js";
import type { ModelConfig } from "../families/family.js";
import type { PlanPart, PlanContext } from "../plan/plan-part.js";
import type { Sweep } from "../sweep/sweep.js";
import type { CostPart } from "./counted-task.js";

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

/** What a probe needs of an experiment. */
export type ProbedExperiment = PlanPart & CostPart;

/**
 * The plan's stages for one of its blocks, on the model's first layers, of the sweep as the experiments make it small. Of each stage the
 * first shard alone, which blocks bound.
 */
export function probePlan(experiments: readonly ProbedExperiment[], plan: Plan, config: ModelConfig): Plan {
  const prompts = largestBlock(plan);
  const { nLayers } = probeConfig(config);
  const saes = plan.saes.filter(({ layer }) => layer < nLayers);
  const shape = { ...plan.shape, nLayers };
  const sweep = probeSweep(experiments, plan.sweep, prompts, saes.length > 0);
  const context: PlanContext = { shape, saes, prompts, paired: isPaired(prompts), lengths: tokenCounts({ prompts }) };
  const { evaluated: _evaluated, ...whole } = plan;
  const { promptBlocks, stages } = stagesOf(experiments, sweep as unknown as Sweep, plan.blocks, context);
  const probed = stages
    .filter(({ task }) => experiments.every((experiment) => experiment.isProbed?.(task) !== false))
    .map((stage) => ({ ...stage, shards: stage.shards.first(promptBlocks) }));
  return { ...whole, sweep, shape, saes, prompts, promptBlocks, donors: null, stages: probed };
}

function probeSweep(
  experiments: readonly CostPart[],
  sweep: Plan["sweep"],
  prompts: readonly Prompt[],
  withSaes: boolean,
): Plan["sweep"] {
  const small = experiments.map((experiment) => experiment.probed?.(sweep, prompts, withSaes) ?? {});
  return Object.assign({}, sweep, ...small) as Plan["sweep"];
}
