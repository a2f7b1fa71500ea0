/** @file The stages of a run and their shards, derived from the sweep alone: never from the number of workers. */
import { must } from "../base/assert.js";
import { type NodeKind, SLOT_KINDS } from "../nodes/kinds.js";
import { ABLATION_SOURCES } from "../nodes/intervention.js";
import type { Prompt } from "../nodes/prompt.js";
import { byLength } from "./prompt-lengths.js";
import { circuitScoresName, evaluationsOf } from "./evaluations.js";
import { type SlotGroup, slotCount } from "./node-slots.js";
import type { Blocks, Shard, Stage } from "./plan.js";
import type { Sweep } from "./sweep.js";

/** Row blocks that one shard runs: enough to make leasing cheap, few enough to lose little with a worker. */
const ROW_BLOCKS_PER_SHARD = 2;
/** Rows per block of the numeric floor's repetition: another shape than any block's. */
const FLOOR_ROWS = 7;
/** The numeric floor repeats this many stretches of slots of each kind, spread evenly, */
const FLOOR_STRETCHES = 12;
/** each this long. */
const FLOOR_SLOTS = 4;
/** Its multiples' fractions are spread as evenly as those of any number. */
const GOLDEN_RATIO = 0.618_033_988_749_895;

/** What stage planning needs. */
export interface StageInputs {
  readonly sweep: Sweep;
  readonly prompts: readonly Prompt[];
  readonly blocks: Blocks;
  readonly slots: readonly SlotGroup[];
}

/** All stages, in an order in which each comes after those it depends on. */
export function stagesOf(inputs: StageInputs): Stage[] {
  const { sweep } = inputs;
  const blocks = promptBlocks(inputs.prompts, inputs.blocks.prompts);
  const wholeBlocks = blocks.map((prompts) => ({ prompts }));
  const stages: Stage[] = [];
  const truthFeatures = sweep.truth?.features;
  const needsFrame = truthFeatures !== undefined && !Array.isArray(truthFeatures);
  const hasCircuits = sweep.circuits !== undefined || sweep.experiments.length > 0;
  if (sweep.means || needsFrame || (hasCircuits && usesMeans(sweep))) {
    stages.push(stage("means", { kind: "means" }, { work: wholeBlocks }));
  }
  for (const score of sweep.scores) {
    stages.push(stage(`scores-${score.name}`, { kind: "scores", score }, { work: wholeBlocks }));
  }
  if (sweep.truth !== undefined) stages.push(...truthStages(inputs, blocks, needsFrame));
  if (hasCircuits) stages.push(circuitStage(inputs, blocks));
  return stages;
}

function truthStages(
  { sweep, slots, blocks }: StageInputs,
  promptLists: readonly number[][],
  needsFrame: boolean,
): Stage[] {
  const { features } = must(sweep.truth, "truth");
  const by = features !== undefined && features !== "all" && !Array.isArray(features) ? [`scores-${features.by}`] : [];
  const nodes = stage("nodes", { kind: "nodes" }, { dependsOn: [...(needsFrame ? ["means"] : []), ...by] });
  const measured: Stage[] = [];
  const after = { dependsOn: ["nodes"], reads: ["nodes.parquet"] };
  for (const { kind, start, end } of kindRanges(slots)) {
    const work = promptLists.flatMap((prompts) => {
      const perShard = Math.max(1, Math.ceil((ROW_BLOCKS_PER_SHARD * blocks.truthRows) / prompts.length));
      return ranges(start, end, perShard).map((range) => ({ prompts, slots: range }));
    });
    const truth = { kind: "truth", nodes: kind } as const;
    measured.push(
      stage(`truth-${kind}`, { ...truth, rowsPerBlock: blocks.truthRows, floor: false }, { ...after, work }),
    );
    const sample = floorRanges(start, end).map((range) => ({
      prompts: must(promptLists[0], "first block"),
      slots: range,
    }));
    measured.push(
      stage(`floor-${kind}`, { ...truth, rowsPerBlock: FLOOR_ROWS, floor: true }, { ...after, work: sample }),
    );
  }
  const dependsOn = ["nodes", ...measured.map(({ id }) => id), ...sweep.scores.map(({ name }) => `scores-${name}`)];
  return [nodes, ...measured, stage("validation", { kind: "validation" }, { dependsOn })];
}

function circuitStage({ sweep, blocks }: StageInputs, promptLists: readonly number[][]): Stage {
  const evaluations = evaluationsOf(sweep);
  const scores = circuitScoresName(sweep);
  const means = usesMeans(sweep);
  const dependsOn = [...(means ? ["means"] : []), ...(scores === undefined ? [] : [`scores-${scores}`])];
  const reads = [
    ...(means ? ["means.safetensors"] : []),
    ...(scores === undefined ? [] : [`scores-${scores}.safetensors`]),
  ];
  const work = promptLists.flatMap((prompts) => {
    const perShard = Math.max(1, Math.ceil((ROW_BLOCKS_PER_SHARD * blocks.circuitRows) / (2 * prompts.length)));
    return ranges(0, evaluations.length, perShard).map((range) => ({ prompts, slots: range }));
  });
  return stage("circuits", { kind: "circuits" }, { dependsOn, reads, work });
}

function usesMeans(sweep: Sweep): boolean {
  return evaluationsOf(sweep).some((one) => one.kind !== "full" && ABLATION_SOURCES[one.ablation] === "means");
}

/**
 * Stretches spread over a kind's slots, so that most sites are among them. Slots repeat with the sites of a layer: a fixed
 * stride may fall on the same site each time, so each stretch starts at another fraction of its share.
 */
function floorRanges(start: number, end: number): (readonly [number, number])[] {
  const stretches = Math.min(FLOOR_STRETCHES, Math.ceil((end - start) / FLOOR_SLOTS));
  return Array.from({ length: stretches }, (_, i) => {
    const share = (end - start) / stretches;
    const spare = Math.max(0, share - FLOOR_SLOTS);
    const first = start + Math.floor(i * share + spare * ((i * GOLDEN_RATIO) % 1));
    return [first, Math.min(end, first + FLOOR_SLOTS)];
  });
}

/** Slot ranges of each kind; kinds are contiguous in slot order. */
function kindRanges(slots: readonly SlotGroup[]): { kind: NodeKind; start: number; end: number }[] {
  const counts = new Map<NodeKind, number>();
  for (const group of slots) counts.set(group.kind, (counts.get(group.kind) ?? 0) + slotCount(group));
  let start = 0;
  return SLOT_KINDS.flatMap((kind) => {
    const end = start + (counts.get(kind) ?? 0);
    const range = { kind, start, end };
    start = end;
    return range.end > range.start ? [range] : [];
  });
}

/** Blocks of at most `size` prompts of one length, lengths ascending, file order within. */
export function promptBlocks(prompts: readonly Prompt[], size: number): number[][] {
  return [...byLength(prompts).values()].flatMap((members) =>
    ranges(0, members.length, size).map(([start, end]) => members.slice(start, end)),
  );
}

function ranges(start: number, end: number, size: number): (readonly [number, number])[] {
  return Array.from({ length: Math.ceil((end - start) / size) }, (_, i) => [
    start + i * size,
    Math.min(end, start + (i + 1) * size),
  ]);
}

function stage(
  id: string,
  task: Stage["task"],
  {
    dependsOn = [],
    reads = [],
    work = [],
  }: Partial<Pick<Stage, "dependsOn" | "reads">> & { readonly work?: readonly Omit<Shard, "id">[] },
): Stage {
  const shards = work.map((shard, i) => ({ id: `${id}.${String(i).padStart(5, "0")}`, ...shard }));
  return { id, task, dependsOn, reads, shards };
}
