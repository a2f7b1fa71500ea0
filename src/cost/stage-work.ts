/**
 * @file What each stage of a plan asks of its engines, from the plan alone.
 *
 * Every shard is cut into the blocks that its program will make, by the program's own rules. Of a stage with very many shards
 * an even sample is counted. What only results can tell (which features differ, how many a circuit keeps) is assumed.
 */
import type { Stage, StageTask } from "../plan/plan.js";
import { type HasTasks, taskKind } from "../plan/task-kinds.js";
import type { MemoryShape } from "../plan/memory.js";
import { scoresNeurons } from "../sweep/sweep.js";
import type { CountedTask, LargestBlock, TaskCost, WorkContext } from "./counted-task.js";
import { Work } from "./work.js";

/** Shards of a stage that are counted one by one. */
const COUNTED_SHARDS = 40;

/** What a stage asks for. */
export interface StageWork {
  readonly id: string;
  readonly kind: StageTask["kind"];
  readonly shards: number;
  /** In the unit of its timings. */
  readonly units: number;
  readonly work: Work;
  /** Numbers alive at once, without weights. */
  readonly alive: number;
}

/** Work of every stage whose shards run a program. */
export function stageWorks(experiments: readonly HasTasks<CountedTask>[], context: WorkContext): StageWork[] {
  let before = "";
  return context.plan.stages.flatMap((stage) => {
    const { cost } = taskKind(experiments, stage.task);
    if (stage.shards.length === 0 || cost === undefined) return [];
    const { units, work, widest } = countedShards(context, cost, stage);
    before = cost.addShared?.(work, context, stage.shards, before) ?? "";
    const largest = { prompts: Math.max(...[...stage.shards.byBlock()].map(({ prompts }) => prompts.length)), widest };
    const { id, task, shards } = stage;
    const alive = aliveIn(context, cost, largest);
    return [{ id, kind: task.kind, shards: shards.length, units: Math.round(units), work, alive }];
  });
}

/** An even sample of a stage's shards, scaled to all of them. */
function countedShards(
  context: WorkContext,
  cost: TaskCost,
  { task, shards }: Stage,
): { readonly units: number; readonly work: Work; readonly widest: number } {
  const work = new Work(context.model);
  const every = Math.max(1, shards.length / COUNTED_SHARDS);
  const counted = Array.from({ length: Math.ceil(shards.length / every) }, (_, i) => shards.at(Math.floor(i * every)));
  const scale = shards.length / counted.length;
  let units = 0;
  let widest = 0;
  for (const shard of counted) {
    const part = cost.shard(context, task, shard);
    work.add(part.work, scale);
    units += part.units * scale;
    widest = Math.max(widest, part.widest ?? 0);
  }
  return { units, work, widest };
}

function aliveIn({ plan, model }: WorkContext, cost: TaskCost, largest: LargestBlock): number {
  const positions = Math.max(...plan.prompts.map(({ clean }) => clean.length));
  const dSae = Math.max(0, ...model.saes.map((sae) => sae.dSae));
  const shape: MemoryShape = {
    config: model.config,
    dSae,
    positions,
    ownKernels: model.ownKernels,
    neurons: plan.sweep.scores.some(scoresNeurons),
  };
  return cost.alive(shape, largest);
}
