/** @file The stages of true patching: choosing nodes, measuring each kind, repeating a part of it, and comparing. */
import { must } from "../../base/assert.js";
import { errorFitInputs } from "../../artifacts/error-fit-file.js";
import { isPartKind, type NodeKind, SLOT_KINDS } from "../../nodes/kinds.js";
import { siteHook, type SiteAt } from "../../nodes/site.js";
import { type NodeListSpec, nodeListOf } from "../../plan/node-list.js";
import { type SlotGroup, slotCount, slotGroups } from "../../plan/node-slots.js";
import type { Stage } from "../../plan/plan.js";
import type { PlanContext, StageContext } from "../../plan/plan-part.js";
import { slotShards, stage } from "../../plan/stages.js";
import type { TruthTask } from "./task.js";

/** Rows per block of the numeric floor's repetition: another shape than any block's. */
const FLOOR_ROWS = 7;
/** The numeric floor repeats this many stretches of slots of each kind, spread evenly, */
const FLOOR_STRETCHES = 12;
/** each this long. */
const FLOOR_SLOTS = 4;
/** Its multiples' fractions are spread as evenly as those of any number. */
const GOLDEN_RATIO = 0.618_033_988_749_895;

/** Slots of the truth that the list asks for. */
export function truthSlots(truth: NodeListSpec, { shape, saes, lengths }: PlanContext): SlotGroup[] {
  return slotGroups({ truth, shape, saes, lengths });
}

/** Whether features are drawn from those that differ somewhere, which the means' records tell. */
export function needsFrame({ features, nodes = [] }: NodeListSpec): boolean {
  return (features !== undefined && !Array.isArray(features)) || nodes.some(({ kind }) => kind.includes("feature"));
}

/** All stages of the truth. */
export function truthStages(context: StageContext): Stage[] {
  const { sweep, blocks, promptBlocks } = context;
  const truth = nodeListOf(sweep);
  if (truth === undefined) return [];
  const slots = truthSlots(truth, context);
  const by = new Set(slots.flatMap((group) => ("choose" in group ? [`scores-${group.choose.by}`] : [])));
  const nodes = stage("nodes", { kind: "nodes" }, { dependsOn: [...(needsFrame(truth) ? ["means"] : []), ...by] });
  const measured = kindRanges(slots).flatMap(({ kind, start, end }) => {
    const after = inputsOf(kind, slots);
    const task: TruthTask = { kind: "truth", nodes: kind, rowsPerBlock: blocks.truthRows, floor: false };
    const work = slotShards(promptBlocks.evaluate, [start, end], blocks.truthRows);
    const sample = floorRanges(start, end).map((slots) => ({
      prompts: must(promptBlocks.evaluate[0], "first block"),
      slots,
    }));
    const floor: TruthTask = { ...task, rowsPerBlock: FLOOR_ROWS, floor: true };
    return [
      stage(`truth-${kind}`, task, { ...after, work }),
      stage(`floor-${kind}`, floor, { ...after, work: sample }),
    ];
  });
  const dependsOn = ["nodes", ...measured.map(({ id }) => id), ...sweep.scores.map(({ name }) => `scores-${name}`)];
  return [nodes, ...measured, stage("validation", { kind: "validation" }, { dependsOn })];
}

/** What measuring a kind waits for, and reads. */
function inputsOf(kind: NodeKind, slots: readonly SlotGroup[]): { dependsOn: string[]; reads: string[] } {
  const split = isPartKind(kind) ? slots.filter((group) => group.kind === kind) : [];
  const places = split.flatMap((group): readonly SiteAt[] => ("nodes" in group ? group.nodes : [group.choose.at]));
  const sites = new Map(places.map((at) => [siteHook(at), at]));
  const fits = errorFitInputs([...sites.values()]);
  return { dependsOn: ["nodes", ...fits.dependsOn], reads: ["nodes.parquet", ...fits.reads] };
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
