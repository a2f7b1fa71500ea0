/**
 * @file What each stage of a plan asks of its engines, from the plan alone.
 *
 * Every shard is cut into the blocks that its program will make, by the program's own rules. Of a stage with very many shards
 * an even sample is counted. What only results can tell (which features differ, how many a circuit keeps) is assumed.
 */
import { circuitBlocks } from "../attribution/circuit-rows.js";
import { truthBlocks, truthRows } from "../attribution/truth-rows.js";
import { must, unreachable } from "../base/assert.js";
import { ABLATION_SOURCES } from "../nodes/intervention.js";
import type { Node } from "../nodes/node.js";
import { firstDifference, isPaired, type Prompt } from "../nodes/prompt.js";
import { variantAblatesErrors } from "../nodes/selection.js";
import { createRng } from "../base/rng.js";
import { type Evaluation, evaluationsOf, thresholdsOf } from "../plan/evaluations.js";
import {
  circuitBlockSize,
  encoderSize,
  type MemoryShape,
  promptBlockSize,
  truthBlockSize,
  unpatchedSize,
} from "../plan/memory.js";
import { type Plan, type ProgramTask, programTask, type Shard } from "../plan/plan.js";
import { circuitBlockWork, type EvaluationCost } from "./circuit-work.js";
import { expectedNodes, type ExpectedNode } from "./expected-nodes.js";
import { type CostModel, meansWork, type PromptBlock, scoresWork } from "./run-work.js";
import { deltasWork, sharesDeltas, truthBlockWork, unpatchedWork } from "./truth-work.js";
import { Work } from "./work.js";

/** Shards of a stage that are counted one by one. */
const COUNTED_SHARDS = 40;
/** Share of the thresholds whose circuits are so small that one row stands for all prompts. */
const ONE_ROW_CIRCUITS = 1 / 3;
/** Share of an SAE's features that a threshold circuit or its complement encodes at a site. */
export const KEPT_COLUMNS = 0.1;
/** Share of the error nodes that thresholds keep, over all of a sweep's: errors score higher than most features. */
export const KEPT_ERRORS = 0.5;

/** What a stage asks for. */
export interface StageWork {
  readonly id: string;
  readonly kind: ProgramTask["kind"];
  readonly shards: number;
  /** In the unit of its timings. */
  readonly units: number;
  readonly work: Work;
  /** Numbers alive at once, without weights. */
  readonly alive: number;
}

/** A shard's part. */
interface ShardWork {
  readonly units: number;
  readonly work: Work;
  /** Truth: (row, position) pairs of the largest block; circuits: its rows. */
  readonly widest?: number;
}

/** Work of every stage that has shards. @param workers - engines, each of which needs a block's unpatched runs for itself. */
export function stageWorks(plan: Plan, model: CostModel, workers: number): StageWork[] {
  const nodes = expectedNodes(plan);
  let lastBlock = "";
  return plan.stages.flatMap((stage) => {
    const { shards } = stage;
    const task = programTask(stage.task);
    if (shards.length === 0 || task === null) return [];
    const work = new Work(model);
    const every = Math.max(1, shards.length / COUNTED_SHARDS);
    const counted = Array.from({ length: Math.ceil(shards.length / every) }, (_, i) =>
      must(shards[Math.floor(i * every)], "shard"),
    );
    const scale = shards.length / counted.length;
    let units = 0;
    let widest = 0;
    for (const shard of counted) {
      const part = shardWork(plan, model, task, shard, nodes, workers);
      work.add(part.work, scale);
      units += part.units * scale;
      widest = Math.max(widest, part.widest ?? 0);
    }
    if (task.kind === "truth") lastBlock = addUnpatched(work, plan, model, shards, workers, lastBlock);
    else lastBlock = "";
    return [
      {
        id: stage.id,
        kind: task.kind,
        shards: shards.length,
        units: Math.round(units),
        work,
        alive: aliveIn(plan, model, task, {
          prompts: Math.max(...shards.map(({ prompts }) => prompts.length)),
          widest,
        }),
      },
    ];
  });
}

function shardWork(
  plan: Plan,
  model: CostModel,
  task: ProgramTask,
  shard: Shard,
  nodes: readonly ExpectedNode[],
  workers: number,
): ShardWork {
  const block = promptBlockOf(plan, shard);
  switch (task.kind) {
    case "means":
      return { units: block.prompts * (block.paired ? 2 : 1), work: meansWork(model, block) };
    case "scores":
      return { units: block.prompts, work: scoresWork(model, block, task.score) };
    case "truth":
      return truthShard(plan, model, shard, block, nodes, { rowsPerBlock: task.rowsPerBlock, workers });
    case "circuits":
      return circuitShard(plan, model, shard, block);
    default:
      return unreachable(task);
  }
}

function truthShard(
  plan: Plan,
  model: CostModel,
  shard: Shard,
  block: PromptBlock,
  nodes: readonly ExpectedNode[],
  { rowsPerBlock, workers }: { readonly rowsPerBlock: number; readonly workers: number },
): ShardWork {
  const [start, end] = must(shard.slots, "slots");
  const slots = nodes.slice(start, end);
  const firsts = promptsOf(plan, shard).map((prompt) => firstDifference([prompt]));
  const size = { prompts: block.prompts, positions: block.positions, nLayers: model.config.nLayers };
  const rng = createRng(plan.sweep.seed, "expected rows", shard.id);
  const rows = truthRows(
    slots.map(({ node }) => node),
    size,
    (slot, row) => {
      const prompt = Math.floor(row / size.positions);
      if (row % size.positions < must(firsts[prompt], "prompt")) return false;
      return rng.uniform() < must(slots[slot], "slot").differs;
    },
  );
  // A single engine has kept the errors of the site that the shard before ended in.
  const kept = workers === 1 && start > 0 ? must(nodes[start - 1], "slot").node : null;
  const isKept = (node: Node): boolean => kept !== null && sharesDeltas(kept, node);
  const named = slots.map(({ node }) => node);
  const work = deltasWork(
    model,
    block,
    named.filter((node) => !isKept(node)),
  );
  const blocks = truthBlocks(rows, size, rowsPerBlock);
  for (const one of blocks) work.add(truthBlockWork(model, block, one));
  const widest = Math.max(
    0,
    ...blocks.map((one) => one.rows.reduce((sum, { start }) => sum + block.positions - start, 0)),
  );
  return { units: rows.length, work, widest };
}

/** Adds the unpatched runs: every engine that works on a block of prompts needs them once. @returns the last block's key. */
function addUnpatched(
  work: Work,
  plan: Plan,
  model: CostModel,
  shards: readonly Shard[],
  workers: number,
  lastBlock: string,
): string {
  let key = lastBlock;
  const counts = new Map<string, { shard: Shard; count: number }>();
  for (const shard of shards) {
    const own = shard.prompts.join();
    counts.set(own, { shard, count: (counts.get(own)?.count ?? 0) + 1 });
  }
  for (const [own, { shard, count }] of counts) {
    if (own !== key) work.add(unpatchedWork(model, promptBlockOf(plan, shard)), Math.min(workers, count));
    key = own;
  }
  return key;
}

function circuitShard(plan: Plan, model: CostModel, shard: Shard, block: PromptBlock): ShardWork {
  const [start, end] = must(shard.slots, "slots");
  const listed = evaluationsOf(plan.sweep).slice(start, end);
  const evaluations = listed.flatMap((one) => Array<Evaluation>(drawsOf(plan, one)).fill(one));
  const rows = block.prompts * (block.paired ? 2 : 1);
  const runs = evaluations.map((evaluation) => (runsOnce(plan, evaluation) ? 1 : rows));
  const work = new Work(model);
  const blocks = circuitBlocks(runs, plan.blocks.circuitRows);
  for (const segments of blocks)
    work.add(
      circuitBlockWork(
        model,
        block,
        segments.map(({ evaluation, count }) => ({
          rows: count,
          evaluation: costOf(plan, must(evaluations[evaluation], "evaluation")),
        })),
      ),
    );
  const widest = Math.max(...blocks.map((segments) => segments.reduce((sum, { count }) => sum + count, 0)));
  return { units: listed.length * rows, work, widest };
}

/** How often an evaluation is run: once for each draw of donors. */
function drawsOf({ donors }: Plan, evaluation: Evaluation): number {
  return evaluation.kind !== "full" && ABLATION_SOURCES[evaluation.ablation] === "donors" ? (donors?.length ?? 1) : 1;
}

/**
 * Whether one row stands for all: of the empty circuit it is known, of circuits it is for the scores to tell, and assumed of those with
 * the highest thresholds.
 */
function runsOnce({ saes, sweep }: Plan, evaluation: Evaluation): boolean {
  if (evaluation.kind === "full" || ABLATION_SOURCES[evaluation.ablation] === "donors") return false;
  if (!saes.some(({ site }) => site === "resid_post")) return false;
  if (evaluation.kind !== "circuit" || sweep.circuits === undefined) return evaluation.kind === "empty";
  const thresholds = thresholdsOf(sweep.circuits);
  const below = thresholds.filter((one) => one < evaluation.circuit.threshold).length;
  return below >= (1 - ONE_ROW_CIRCUITS) * thresholds.length;
}

/**
 * What an evaluation's splices cost. All features are encoded where a live error needs what the ablated ones contributed, and where
 * the error is ablated but most features are live, as in a complement.
 */
function costOf(plan: Plan, evaluation: Evaluation): EvaluationCost {
  if (evaluation.kind === "full") return { untouched: true, dense: 0, columns: 0, constants: false };
  const constants = ABLATION_SOURCES[evaluation.ablation] === "means";
  if (evaluation.kind === "empty") return { untouched: false, dense: 0, columns: 0, constants };
  const columns = KEPT_COLUMNS;
  if (evaluation.kind === "custom") return { untouched: false, dense: 0, columns, constants };
  const { variant } = evaluation.circuit;
  const without = plan.saes.filter(({ site }) => variantAblatesErrors(variant, site)).length / plan.saes.length || 0;
  const kept = KEPT_ERRORS * (1 - without);
  return { untouched: false, dense: evaluation.kind === "circuit" ? kept : kept + without, columns, constants };
}

function promptsOf({ prompts }: Plan, shard: Shard): Prompt[] {
  return shard.prompts.map((index) => must(prompts[index], "prompt"));
}

function promptBlockOf(plan: Plan, shard: Shard): PromptBlock {
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

/** Numbers alive at once while a stage's largest block is computed: one of so many prompts, or of rows `widest` in all. */
function aliveIn(
  plan: Plan,
  model: CostModel,
  { kind }: ProgramTask,
  { prompts, widest }: { readonly prompts: number; readonly widest: number },
): number {
  const positions = Math.max(...plan.prompts.map(({ clean }) => clean.length));
  const dSae = Math.max(0, ...model.saes.map((sae) => sae.dSae));
  const shape: MemoryShape = { config: model.config, dSae, positions, ownKernels: model.ownKernels };
  switch (kind) {
    case "means":
    case "scores":
      return promptBlockSize(shape, prompts);
    case "truth":
      return (
        unpatchedSize(shape, prompts) +
        Math.max(truthBlockSize(shape, widest, 1), encoderSize(dSae, prompts * positions))
      );
    case "circuits":
      return circuitBlockSize(shape, widest);
    default:
      return unreachable(kind);
  }
}
