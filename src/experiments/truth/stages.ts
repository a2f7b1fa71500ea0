/** @file The stages of true patching: choosing nodes, measuring each kind, repeating a part of it, and comparing. */
import { must } from "../../base/assert.js";
import { errorFitInputs } from "../../artifacts/error-fit-file.js";
import { MEANS_FILE } from "../../artifacts/means-file.js";
import { isPartKind, type NodeKind, SLOT_KINDS } from "../../nodes/kinds.js";
import { parseNodeHook } from "../../nodes/node.js";
import { siteHook, type SiteAt } from "../../nodes/site.js";
import { nodeListOf, type TruthDonor } from "../../plan/node-list.js";
import { scoresOfSet } from "../../plan/node-sets.js";
import { namesKind, type SlotGroup, slotCount, slotGroups } from "../../plan/node-slots.js";
import type { Stage } from "../../plan/plan.js";
import type { StageContext } from "../../plan/plan-part.js";
import type { SetInputs } from "../../plan/set-context.js";
import { setsOf } from "../../plan/set-expression.js";
import type { ShardRule } from "../../plan/stage-shards.js";
import { slotRule, stage } from "../../plan/stages.js";
import type { TruthTask } from "./task.js";

/** Rows per block of the numeric floor's repetition: another shape than any block's. */
const FLOOR_ROWS = 7;
/** The numeric floor repeats this many stretches of slots of each kind, spread evenly, */
const FLOOR_STRETCHES = 12;
/** each this long. */
const FLOOR_SLOTS = 4;
/** Its multiples' fractions are spread as evenly as those of any number. */
const GOLDEN_RATIO = 0.618_033_988_749_895;

/** Whether features are chosen from those that the donor changes somewhere, which the means' records tell. */
export function needsFrame(sweep: SetInputs["sweep"]): boolean {
  const { features, nodes } = must(nodeListOf(sweep), "truth");
  return (features !== undefined && !Array.isArray(features)) || (nodes !== undefined && namesKind(sweep, "feature"));
}

/** Names of the scores that slots are filled by. */
function scoresOf(slots: readonly SlotGroup[], sets: ReturnType<typeof setsOf>): Set<string> {
  return new Set(
    slots.flatMap((group) => {
      if ("choose" in group) return [group.choose.by];
      return "find" in group ? scoresOfSet(group.find.set, sets) : [];
    }),
  );
}

/** All stages of the truth. */
export function truthStages(context: StageContext): Stage[] {
  const { sweep, blocks, promptBlocks } = context;
  const truth = nodeListOf(sweep);
  if (truth === undefined) return [];
  const slots = slotGroups(context);
  const by = [...scoresOf(slots, setsOf(sweep))].map((name) => `scores-${name}`);
  const nodes = stage("nodes", { kind: "nodes" }, { dependsOn: [...(needsFrame(sweep) ? ["means"] : []), ...by] });
  const measured = kindRanges(slots).flatMap(({ kind, start, end }) => {
    const after = inputsOf(kind, slots, truth.donor);
    const task: TruthTask = {
      kind: "truth",
      nodes: kind,
      donor: truth.donor,
      rowsPerBlock: blocks.truthRows,
      floor: false,
    };
    const rule = slotRule(promptBlocks.evaluate, [[start, end]], blocks.truthRows);
    const [first] = promptBlocks.evaluate;
    const sample: ShardRule = { blocks: [first, first + 1], slots: floorRanges(start, end) };
    const floor: TruthTask = { ...task, rowsPerBlock: FLOOR_ROWS, floor: true };
    return [
      stage(`truth-${kind}`, task, { ...after, promptBlocks: promptBlocks.list, rule }),
      stage(`floor-${kind}`, floor, { ...after, promptBlocks: promptBlocks.list, rule: sample }),
    ];
  });
  const dependsOn = [
    "nodes",
    ...measured.map(({ id }) => id),
    ...sweep.scores.map(({ name }) => `scores-${name}`),
    ...(truth.joint === undefined ? [] : ["sets", "joint"]),
  ];
  return [nodes, ...measured, stage("validation", { kind: "validation" }, { dependsOn })];
}

/** What measuring a kind waits for, and reads. */
function inputsOf(
  kind: NodeKind,
  slots: readonly SlotGroup[],
  donor: TruthDonor,
): { dependsOn: string[]; reads: string[] } {
  const split = isPartKind(kind) ? slots.filter((group) => group.kind === kind) : [];
  const places = split.flatMap(sitesOf);
  const sites = new Map(places.map((at) => [siteHook(at), at]));
  const fits = errorFitInputs([...sites.values()]);
  const [means, file] = donor === "mean" ? [["means"], [MEANS_FILE]] : [[], []];
  return { dependsOn: ["nodes", ...means, ...fits.dependsOn], reads: ["nodes.parquet", ...file, ...fits.reads] };
}

function sitesOf(group: SlotGroup): readonly SiteAt[] {
  if ("nodes" in group) return group.nodes;
  return "choose" in group
    ? [group.choose.at]
    : [...group.find.places.keys()].map((hook) => must(parseNodeHook(hook), hook));
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
