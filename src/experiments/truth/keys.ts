/** @file What a shard of true effects depends on. */
import { FIT_STAGE } from "../../artifacts/error-fit-file.js";
import { must } from "../../base/assert.js";
import { isPartKind, SLOT_KINDS } from "../../nodes/kinds.js";
import { tokenCounts } from "../../plan/held-out.js";
import { circuitNodesOf } from "../../plan/circuit-sites.js";
import { nodeListOf } from "../../plan/node-list.js";
import { DEFAULT_SCORES } from "../../plan/node-sets.js";
import { type SlotGroup, slotCount, slotGroups } from "../../plan/node-slots.js";
import { setInFull } from "../../plan/set-in-full.js";
import { bySlots, type Dependencies, hashOf, type KeyInputs } from "../../plan/shard-keys.js";
import type { Plan } from "../../plan/plan.js";
import { needsFrame } from "./stages.js";
import type { TruthTask } from "./task.js";

/** The prompts, the nodes of the shard's slots, what they are set to, the rows of a block, and the fits where parts of errors are patched. */
export function truthDependencies({ nodes: kind, donor, rowsPerBlock }: TruthTask, inputs: KeyInputs): Dependencies {
  const { plan, prompts, after } = inputs;
  const means = donor === "mean" ? after("means") : null;
  const fits = isPartKind(kind) ? after(FIT_STAGE) : null;
  const groups = groupsOf(plan);
  const own = groups.filter((group) => group.kind === kind);
  const before = groups.filter((group) => SLOT_KINDS.indexOf(group.kind) < SLOT_KINDS.indexOf(kind));
  const first = before.reduce((sum, group) => sum + slotCount(group), 0);
  const nodes = nodesIn(own, inputs);
  const nodesOf = bySlots(([start, end]) => hashOf(nodes(start - first, end - first)));
  return {
    stage: { kind, donor, means, rowsPerBlock, fits },
    shard: (shard) => [nodesOf(shard), prompts(shard)],
  };
}

function groupsOf(plan: Plan): SlotGroup[] {
  return slotGroups({ ...plan, lengths: tokenCounts(plan) });
}

/**
 * What decides the nodes of some of a kind's slots. Where all of the kind are known now it is the nodes. Else it is all that the kind's nodes
 * are chosen from: a node that is chosen in one place may be left out in another.
 */
function nodesIn(groups: readonly SlotGroup[], inputs: KeyInputs): (start: number, end: number) => unknown {
  const { plan, after } = inputs;
  const known = groups.flatMap((group) => ("nodes" in group && !group.mustDiffer ? group.nodes : []));
  if (known.length === groups.reduce((sum, group) => sum + slotCount(group), 0))
    return (start, end) => known.slice(start, end);
  const described = groups.map((group) => describedGroup(group, inputs));
  const list = must(nodeListOf(plan.sweep), "truth");
  const frame = needsFrame(plan.sweep) ? after("means") : null;
  const chosen = hashOf({ groups: described, frame, hasSets: list.nodes !== undefined, lengths: tokenCounts(plan) });
  return (start, end) => ({ chosen, start, end });
}

/** What the nodes of a group are chosen from, and by what. */
function describedGroup(group: SlotGroup, inputs: KeyInputs): unknown {
  const { plan, after } = inputs;
  if ("nodes" in group) return group;
  const { kind } = group;
  if ("choose" in group) {
    const { choose } = group;
    return { ...choose, kind, by: after(`scores-${choose.by}`), seed: choose.seed ?? plan.sweep.seed };
  }
  const { set, isGlobal, most } = group.find;
  const written = { expression: set, by: DEFAULT_SCORES, seed: undefined };
  return { kind, isGlobal, most, set: setInFull(written, inputs), sites: circuitNodesOf(plan.sweep) };
}
