/** @file Work of circuit evaluation: a block of (evaluation, side, prompt) rows through the spliced model. */
import { rowChunks } from "../../passes/row-chunks.js";
import { attendOutputWork, attentionWork, gatherWork, mlpWork, qkvWork, unembedWork } from "../../cost/layer-work.js";
import { captureWork, promptBlockOf, type CostModel, type PromptBlock } from "../../cost/run-work.js";
import { listedSumWork, type SaeSize } from "../../cost/sae-work.js";
import { KEPT_COLUMNS, KEPT_ERRORS } from "./assumed-sizes.js";
import { Work } from "../../cost/work.js";
import { must } from "../../base/assert.js";
import type { WorkContext, ShardCost, TaskCost } from "../../cost/counted-task.js";
import { ABLATION_SOURCES } from "../../nodes/intervention.js";
import { partsIn } from "../../nodes/custom-configuration.js";
import { variantAblatesErrors } from "../../nodes/selection.js";
import { type Prompt, SIDES } from "../../nodes/prompt.js";
import { sharedRows, type TokenRows } from "../../nodes/token-rows.js";
import { siteHook, type SiteAt } from "../../nodes/site.js";
import { circuitBlockSize, unpatchedSize } from "../../plan/memory.js";
import { promptsOf, type StageTask, type Shard, type Plan } from "../../plan/plan.js";
import type { JointTask } from "./task.js";
import { circuitBlocks, type Segment } from "./circuit-rows.js";
import { blockRows } from "./segment-rows.js";
import { earliest, type FirstChange, orderedBlocks, sparesRun } from "./first-change.js";
import { plannedChanges } from "./planned-change.js";
import { evaluationsOf, type Evaluation } from "./evaluations.js";
import { circuitsSpecOf } from "./spec.js";

/** Share of the thresholds whose circuits are so small that one row stands for all prompts. */
const ONE_ROW_CIRCUITS = 1 / 3;
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
  /** Hooks of the sites whose errors are changed in part; absent where there are none. */
  readonly parts?: ReadonlySet<string>;
}

/** Rows of one evaluation in a block. */
export interface CostSegment {
  readonly rows: number;
  readonly evaluation: EvaluationCost;
  /** How many of its (row, position) are computed; absent where all are. */
  readonly computed?: ComputedRows;
}

/** Rows of a segment that are computed: in all layers, and at the answer alone. */
interface ComputedRows {
  readonly live: number;
  readonly answer: number;
}

/** What is computed of each segment; undefined where all rows are. */
export function computedRows(
  trie: TokenRows | null,
  segments: readonly Segment[],
  { start, positions }: { readonly start: number; readonly positions: number },
): (ComputedRows | undefined)[] {
  const live = blockRows(trie, segments, { start, length: positions - start });
  if (live.shared === null) return segments.map(() => undefined);
  const answer = blockRows(trie, segments, { start: positions - 1, length: 1 });
  return segments.map((_, i) => ({
    live: must(live.segments[i], "segment").count,
    answer: must(answer.segments[i], "segment").count,
  }));
}

/** One block from its first change on; every site has its SAE's splice. */
export function circuitBlockWork(
  model: CostModel,
  { positions, answers }: PromptBlock,
  segments: readonly CostSegment[],
  first: FirstChange = { layer: 0, position: 0 },
): Work {
  const { config } = model;
  const work = new Work(model);
  const rows = segments.reduce((sum, segment) => sum + segment.rows, 0);
  const live = positions - first.position;
  const isShared = segments.some(({ computed }) => computed !== undefined);
  const { nHeads: N, nKvHeads: K, headDim: H, dModel: D } = config;
  work.move("copy", rows * live * D, 2, 1);
  for (let layer = Math.min(first.layer, config.nLayers - 1); layer < config.nLayers; layer++) {
    const isLast = layer === config.nLayers - 1;
    const parts = segments.map(({ rows: own, evaluation, computed }): CostPart => ({
      flat: isLast ? (computed?.answer ?? own) : (computed?.live ?? own * live),
      evaluation,
      isShared,
    }));
    const out = parts.reduce((sum, { flat }) => sum + flat, 0);
    qkvWork(
      work,
      config,
      isShared ? segments.reduce((sum, { computed }) => sum + (computed?.live ?? 0), 0) : rows * live,
    );
    if (isShared) {
      for (const heads of [N, K, K]) gatherWork(work, heads * H, rows * live);
      if (isLast) gatherWork(work, D, rows * live);
      gatherWork(work, N * H, out);
    }
    if (live < positions) work.move("copy", 2 * rows * positions * K * H, 6, 6);
    attentionWork(work, config, rows, isLast ? 1 : live, positions);
    attendOutputWork(work, config, out);
    mlpWork(work, config, out);
    work.move("arithmetic", out * D, 3, 1);
    for (const sae of model.saes) if (sae.layer === layer) spliceWork(work, sae, isLast ? 1 : live, parts);
  }
  unembedWork(work, config, rows, answers);
  return work;
}

/** Rows of one evaluation at a site. */
interface CostPart {
  readonly flat: number;
  readonly evaluation: EvaluationCost;
  /** Equal rows are computed once, and each takes the values of its position. */
  readonly isShared: boolean;
}

/** Splices one site of every segment. */
function spliceWork(work: Work, sae: SaeSize & SiteAt, positions: number, parts: readonly CostPart[]): void {
  if (parts.every(({ evaluation }) => evaluation.untouched)) return;
  const { dIn: D, dSae: F } = sae;
  for (const { flat, evaluation, isShared } of parts) {
    work.move("copy", flat * D, 2, 1);
    if (evaluation.untouched) continue;
    const dense = Math.round(flat * evaluation.dense);
    if (dense > 0 && work.device.ownKernels) listedSumWork(work, sae, dense);
    else encodedWork(work, dense, D, F);
    const n = Math.round(F * evaluation.columns);
    if (n > 0 && dense < flat) {
      work.move("copy", n * D, 4, 4);
      encodedWork(work, flat - dense, D, n);
      if (isShared) gatherWork(work, n, flat - dense);
    }
    // Rows that say their positions are not reshaped on the way.
    work.move("arithmetic", flat * D, 5, isShared ? 2 : 6);
    if (evaluation.constants) work.move("arithmetic", flat * D, 2, 0);
    if (isShared) gatherWork(work, D, flat);
    if (evaluation.parts?.has(siteHook(sae)) !== true) continue;
    work.product("layers", flat, D, D);
    work.move("arithmetic", flat * D, 5, 5);
  }
  const constants = parts.filter(({ evaluation }) => !evaluation.untouched && evaluation.constants).length;
  for (const { count } of rowChunks(constants, positions * F)) work.product("decode", count * positions, F, D);
  work.move("copy", parts.reduce((sum, { flat }) => sum + flat, 0) * D, 2, 1);
}

/** Encodes and decodes `n` features of some rows. */
function encodedWork(work: Work, rows: number, D: number, n: number): void {
  if (rows === 0 || n === 0) return;
  work.product("encode", rows, D, n);
  work.move("arithmetic", rows * n, 10, 8);
  work.product("decode", rows, n, D);
}

function circuitShard({ plan, model }: WorkContext, _task: StageTask, shard: Shard): ShardCost {
  const block = promptBlockOf(plan, shard);
  const [start, end] = must(shard.slots, "slots");
  const listed = evaluationsOf(plan.sweep).slice(start, end);
  const evaluations = listed.flatMap((one) => Array<Evaluation>(drawsOf(plan, one)).fill(one));
  const rows = block.prompts * (block.paired ? 2 : 1);
  const runs = evaluations.map((evaluation) => (runsOnce(plan, evaluation) ? 1 : rows));
  const changes = plannedChanges(plan, evaluations, block.positions);
  const size = { nLayers: model.config.nLayers, positions: block.positions, runs, rows };
  const work = new Work(model);
  const hasBase = evaluations.some(restores) || sparesRun(changes, size);
  if (hasBase) work.add(baseWork(model, block));
  const blocks = orderedBlocks(changes, runs, plan.blocks.circuitRows);
  const trie = trieOf(promptsOf(plan, shard));
  for (const segments of blocks) {
    const first = earliest(segments.map(({ evaluation }) => must(changes[evaluation], "change")));
    const isDrawn = segments.some(({ evaluation }) => takesDonors(must(evaluations[evaluation], "evaluation")));
    const span = { start: hasBase ? Math.min(first.position, block.positions - 1) : 0, positions: block.positions };
    const computed = computedRows(isDrawn ? null : trie, segments, span);
    const costs = segments.map(({ evaluation, count }, i): CostSegment => {
      const found = computed[i];
      const cost = costOf(plan, must(evaluations[evaluation], "evaluation"));
      return { rows: count, evaluation: cost, ...(found === undefined ? {} : { computed: found }) };
    });
    work.add(circuitBlockWork(model, block, costs, hasBase ? first : undefined));
  }
  const widest = Math.max(...blocks.map((segments) => segments.reduce((sum, { count }) => sum + count, 0)));
  return { units: listed.length * rows, work, widest };
}

/** Unablated runs, and their keys and values once more. */
export function baseWork(model: CostModel, block: PromptBlock): Work {
  const work = new Work(model);
  captureWork(work, model, block);
  const { config } = model;
  const rows = (block.paired ? 2 : 1) * block.prompts * block.positions;
  for (let layer = 0; layer < config.nLayers; layer++) {
    qkvWork(work, config, block.shared.all ?? rows);
    if (block.shared.all === null) continue;
    gatherWork(work, config.dModel, block.shared.all);
    for (let part = 0; part < 2; part++) gatherWork(work, config.nKvHeads * config.headDim, rows);
  }
  return work;
}

/** Whether an evaluation restores nodes, for which the unablated run is needed in any case. */
function restores(evaluation: Evaluation): boolean {
  if (evaluation.kind === "point") return evaluation.point.sets.restore !== undefined;
  if (evaluation.kind !== "custom") return false;
  const { nodes, features } = evaluation.experiment.restore;
  return nodes.length > 0 || Object.keys(features).length > 0;
}

/** How often an evaluation is run: once for each draw of donors. */
function drawsOf({ donors }: Plan, evaluation: Evaluation): number {
  return takesDonors(evaluation) ? (donors?.length ?? 1) : 1;
}

function takesDonors(evaluation: Evaluation): boolean {
  return evaluation.kind !== "full" && ABLATION_SOURCES[evaluation.ablation] === "donors";
}

/** Which rows of an evaluation are equal; null where that is not counted: where few are, or sides run by themselves. */
function trieOf(prompts: readonly Prompt[]): TokenRows | null {
  if (prompts.some(({ spans }) => spans !== undefined)) return null;
  return sharedRows(
    SIDES.flatMap((side) => prompts.flatMap((prompt) => (prompt[side] === null ? [] : [prompt[side]]))),
  );
}

/**
 * Whether one row stands for all: of the empty circuit it is known, of circuits it is for the scores to tell, and assumed of those with
 * the highest thresholds.
 */
function runsOnce({ saes, sweep }: Plan, evaluation: Evaluation): boolean {
  if (evaluation.kind === "full" || ABLATION_SOURCES[evaluation.ablation] === "donors") return false;
  if (!saes.some(({ site }) => site === "resid_post")) return false;
  const spec = circuitsSpecOf(sweep);
  if (evaluation.kind !== "circuit" || spec === undefined) return evaluation.kind === "empty";
  const { thresholds } = spec;
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
  if (evaluation.kind === "custom") {
    const hooks = partsIn(evaluation.experiment).map(({ at }) => siteHook(at));
    return { untouched: false, dense: 0, columns, constants, parts: new Set(hooks) };
  }
  if (evaluation.kind === "point") return { untouched: false, dense: 0, columns, constants };
  const { variant } = evaluation.circuit;
  const without = plan.saes.filter(({ site }) => variantAblatesErrors(variant, site)).length / plan.saes.length || 0;
  const kept = KEPT_ERRORS * (1 - without);
  return { untouched: false, dense: evaluation.kind === "circuit" ? kept : kept + without, columns, constants };
}

/** A joint patch is an evaluation of the clean rows, of which few features are changed; the unpatched runs come first. */
function jointShard({ plan, model }: WorkContext, _task: JointTask, shard: Shard): ShardCost {
  const block = promptBlockOf(plan, shard);
  const [start, end] = must(shard.slots, "slots");
  const work = new Work(model);
  captureWork(work, model, block);
  const patched = { untouched: false, dense: 0, columns: KEPT_COLUMNS, constants: false };
  const blocks = circuitBlocks(Array<number>(end - start).fill(block.prompts), plan.blocks.circuitRows);
  for (const segments of blocks) {
    const costs = segments.map(({ count }) => ({ rows: count, evaluation: patched }));
    work.add(circuitBlockWork(model, block, costs));
  }
  const widest = Math.max(...blocks.map((segments) => segments.reduce((sum, { count }) => sum + count, 0)));
  return { units: (end - start) * block.prompts, work, widest };
}

/** How the work of joint patches is counted. */
export const JOINT_COST: TaskCost<JointTask> = {
  shard: jointShard,
  alive: (shape, { widest }) => circuitBlockSize(shape, widest),
};

/** How the work of circuits is counted. */
export const CIRCUITS_COST: TaskCost = {
  shard: circuitShard,
  alive: (shape, { prompts, widest }) => circuitBlockSize(shape, widest) + unpatchedSize(shape, prompts),
};
