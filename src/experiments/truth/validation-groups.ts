/** @file Which nodes are compared with one another: families of nodes, and the groups of each. */
import { must } from "../../base/assert.js";
import { comparePositions, GLOBAL_POSITION } from "../../nodes/node.js";
import { firstPosition, type Prompt } from "../../nodes/prompt.js";
import { truthDonorOf } from "../../plan/node-list.js";
import type { Plan } from "../../plan/plan.js";
import type { NodeDesign } from "../../stats/node-weights.js";
import type { PromptMatrix } from "../../stats/clusters.js";
import { FEWEST_NODES } from "../../stats/validation.js";
import type { ListedNode } from "./node-table.js";
import { effectAt, type TruthTable } from "./truth-table.js";

/** Nodes of one kind at one site; those patched at all positions at once apart. */
export interface Family {
  readonly kind: ListedNode["kind"];
  readonly site: ListedNode["site"];
  readonly global: boolean;
  /** Rows of the node list, N. */
  readonly members: readonly number[];
}

/** Where a group's nodes are: one layer or all (null), one position or all (null). */
interface GroupPlace {
  readonly layer: number | null;
  readonly position: number | null;
}

/** A group of a family's nodes. */
export interface Group extends GroupPlace {
  /** Indexes into the family's members. */
  readonly members: readonly number[];
}

/** Families in the order of their first nodes. */
export function familiesOf(nodes: readonly ListedNode[]): Family[] {
  const families = new Map<string, { family: Omit<Family, "members">; members: number[] }>();
  nodes.forEach(({ kind, site, position }, n) => {
    const family = { kind, site, global: position === GLOBAL_POSITION };
    const key = JSON.stringify(family);
    const found = families.get(key);
    if (found === undefined) families.set(key, { family, members: [n] });
    else found.members.push(n);
  });
  return [...families.values()].map(({ family, members }) => ({ ...family, members }));
}

/**
 * Groups of those members that enter: all, each position, each layer, and each position of a layer that has enough nodes.
 * @param entering - 1 for members that enter, `[N]`.
 */
export function groupsOf({ members, global }: Family, nodes: readonly ListedNode[], entering: Uint8Array): Group[] {
  const groups = new Map<string, { group: Omit<Group, "members">; members: number[] }>();
  const put = (layer: number | null, position: number | null, i: number): void => {
    const key = JSON.stringify([layer, position]);
    const found = groups.get(key) ?? { group: { layer, position }, members: [] };
    groups.set(key, found);
    if (entering[i] === 1) found.members.push(i);
  };
  members.forEach((n, i) => {
    const { layer, position } = must(nodes[n], "node");
    put(null, null, i);
    put(layer, null, i);
    if (global || position === GLOBAL_POSITION) return;
    put(null, position, i);
    put(layer, position, i);
  });
  const crossed = ({ layer, position }: Omit<Group, "members">): boolean => layer !== null && position !== null;
  return [...groups.values()]
    .map(({ group, members: own }) => ({ ...group, members: own }))
    .filter((group) => !crossed(group) || group.members.length >= FEWEST_NODES)
    .sort(compareGroupPlaces);
}

/** Layers together, then layer by layer; in each all positions together, then those from BOS, then those from the end. */
export function compareGroupPlaces(a: GroupPlace, b: GroupPlace): number {
  const [before, after] = [a.position, b.position];
  return (
    (a.layer ?? -1) - (b.layer ?? -1) ||
    Number(before !== null) - Number(after !== null) ||
    comparePositions(before ?? 0, after ?? 0)
  );
}

/** First position from BOS at which a patch can change anything: of the corrupted run the first token that differs in any pair, else BOS. */
export function firstPatched(sweep: Plan["sweep"], prompts: readonly Prompt[]): number {
  return truthDonorOf(sweep) === "corrupted" ? firstPosition(prompts) : 0;
}

/**
 * Whether a node enters the statistics: its mean effect or any mean score is not 0, so that all scores are compared over the same
 * nodes. Nodes at positions from BOS before the {@link firstPatched} are left out: no effect is possible there.
 * @param means - of its effects and of every score; NaN where no prompt has the node.
 */
export function entersStatistics(
  { position }: Pick<ListedNode, "position">,
  means: readonly number[],
  first: number,
): boolean {
  const isPossible = position === GLOBAL_POSITION || position < 0 || !(position < first);
  return isPossible && means.some((mean) => mean !== 0) && !means.some(Number.isNaN);
}

/**
 * 1 for nodes that {@link entersStatistics}, `[N]`.
 * @param nodes - N of them.
 * @param means - of effects and of every score, `[N]` each.
 */
export function enteringMembers(
  nodes: readonly Pick<ListedNode, "position">[],
  means: readonly Float64Array[],
  first: number,
): Uint8Array {
  return Uint8Array.from(nodes, (node, n) => {
    const own = means.map((values) => values[n] as number);
    return entersStatistics(node, own, first) ? 1 : 0;
  });
}

/** How a family's nodes were drawn: a stratum of a layer's frame is drawn by itself. */
export function designOf({ members, global }: Family, nodes: readonly ListedNode[]): NodeDesign {
  const own = members.map((n) => must(nodes[n], "node"));
  return {
    weights: Float64Array.from(own, ({ inclusionProbability }) => 1 / inclusionProbability),
    strata: own.map(({ kind, site, layer, stratum, inclusionProbability }) =>
      [kind, site, layer, global, stratum, inclusionProbability].join(" "),
    ),
  };
}

/** Effects of a family's members, `[P, N]`. */
export function effectsOf(table: TruthTable, family: Family): PromptMatrix {
  const { length } = table.nodes;
  return matrixOf(table, family, (cell) => effectAt(table, Math.floor(cell / length), cell % length));
}

/** Scores of a family's members by name, `[P, N]` each. */
export function scoresOf(table: TruthTable, family: Family): ReadonlyMap<string, PromptMatrix> {
  return new Map(
    [...table.scores].map(([name, values]) => [name, matrixOf(table, family, (cell) => must(values[cell], name))]),
  );
}

/** @param value - by cell of the table. */
function matrixOf(
  { prompts, nodes, present }: TruthTable,
  { members }: Family,
  value: (cell: number) => number,
): PromptMatrix {
  const values = new Float64Array(prompts * members.length);
  const mask = new Uint8Array(values.length);
  for (let p = 0; p < prompts; p++) {
    members.forEach((n, i) => {
      const [from, to] = [p * nodes.length + n, p * members.length + i];
      if (present[from] !== 1) return;
      values[to] = value(from);
      mask[to] = 1;
    });
  }
  return { prompts, nodes: members.length, values, present: mask.includes(0) ? mask : null };
}
