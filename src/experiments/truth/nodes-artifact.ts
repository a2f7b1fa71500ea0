/** @file `nodes.parquet`: the nodes whose truth is measured, each with its slot of the plan. A slot without a row is empty. */
import { must } from "../../base/assert.js";
import { INDEX_FIELDS, KINDS, type NodeKind } from "../../nodes/kinds.js";
import {
  GLOBAL_POSITION,
  hookOf,
  indexOf,
  type Node,
  nodeAt,
  nodeHook,
  nodeKey,
  type NodeOf,
} from "../../nodes/node.js";
import { indexColumn, positionColumn } from "../../nodes/node-columns.js";
import { siteHook, type SiteAt } from "../../nodes/site.js";
import { type Candidate, type ChosenNode, sampledNodes, strongestNodes } from "./choose-nodes.js";
import { evaluatedPrompts, selectionIndexes } from "../../plan/held-out.js";
import { nodeListOf } from "../../plan/node-list.js";
import { sizesAt, slotCount, type SlotGroup, slotGroups } from "../../plan/node-slots.js";
import type { Plan, StageTask } from "../../plan/plan.js";
import { lengthsOf } from "../../plan/prompt-lengths.js";
import { artifactMetadata } from "../../artifacts/artifact-metadata.js";
import { type Column, encodeParquet } from "../../artifacts/parquet.js";
import { countPositions } from "../../artifacts/position-counts.js";
import { forEachRecord, type RecordSource } from "../../artifacts/stage-records.js";
import { decodeMeans } from "../../artifacts/means-payload.js";
import { readScoreMeans, type ScoreMeans } from "../../artifacts/scores-file.js";
import { scoresKey } from "../../nodes/node-states.js";
import type { ReductionInputs } from "../../artifacts/reduction.js";
import type { ReadArtifact } from "../../run/artifacts.js";
import { type ChosenListed, type ListedNode, NODES_FILE } from "./node-table.js";

/** Chooses the nodes (static ones, and features by frame and scores) and writes the list. */
export async function reduce(
  _task: StageTask,
  { source, provenance, artifacts }: ReductionInputs,
): Promise<readonly string[]> {
  const { plan } = source;
  const groups = groupsOf(plan);
  const needsFrame = groups.some((group) => group.kind === "feature" && ("choose" in group || group.mustDiffer));
  const frame = needsFrame ? await readFrame(source) : new Map<string, ReadonlySet<number>>();
  const draws = await drawsOf(plan, groups, { frame, read: artifacts.read });
  // Short forms alone name no node twice, and may name millions.
  const hasSets = nodeListOf(plan.sweep)?.nodes !== undefined;
  const sure = groups.map((group) => ("choose" in group ? strongestOf(group, draws) : staticNodes(plan, group, frame)));
  const certain = new Set(
    groups.flatMap((group, g) => (hasSets || "choose" in group ? must(sure[g], "nodes").map(nodeKey) : [])),
  );
  const taken = new Set<string>();
  let start = 0;
  const nodes = groups.flatMap((group, g) => {
    const own = must(sure[g], "nodes");
    const candidates = "choose" in group ? [...own, ...sampledOf(group, draws, certain)].sort(comparePositions) : own;
    const listed = hasSets ? candidates.filter((node) => taken.size !== taken.add(nodeKey(node)).size) : candidates;
    const slotted = listed.map((node, i) => ({ ...node, slot: start + i }));
    start += slotCount(group);
    return slotted;
  });
  const table = encodeParquet(
    [
      [
        { name: "slot", type: "INT32", values: Int32Array.from(nodes, ({ slot }) => slot) },
        { name: "hook", type: "STRING", values: nodes.map(hookOf) },
        { name: "position", type: "INT32", values: Int32Array.from(nodes, ({ position }) => positionColumn(position)) },
        ...INDEX_FIELDS.map((field): Column => ({
          name: field,
          type: "INT32",
          values: Int32Array.from(nodes, (node) => indexColumn(node, field)),
        })),
        { name: "stratum", type: "STRING", values: nodes.map(({ stratum }) => stratum) },
        {
          name: "inclusion_probability",
          type: "DOUBLE",
          values: Float64Array.from(nodes, (node) => node.inclusionProbability),
        },
      ],
    ],
    artifactMetadata(provenance, "none"),
  );
  artifacts.write(NODES_FILE, table);
  return withoutNodes(groups, nodes);
}

function groupsOf(plan: Plan): SlotGroup[] {
  const { sweep, shape, saes } = plan;
  const lengths = lengthsOf(evaluatedPrompts(plan));
  return slotGroups({ truth: must(nodeListOf(sweep), "truth"), shape, saes, lengths });
}

/** By site hook: indexes `position * F + feature` that differ between clean and corrupted in at least one prompt. */
async function readFrame(source: RecordSource): Promise<Map<string, ReadonlySet<number>>> {
  const frame = new Map<string, Set<number>>(source.plan.saes.map((sae) => [siteHook(sae), new Set()]));
  await forEachRecord(source, "means", (_shard, payload) => {
    for (const [hook, { differs }] of decodeMeans(payload).features) {
      const seen = must(frame.get(hook), hook);
      for (const index of differs) seen.add(index);
    }
  });
  return frame;
}

function staticNodes(
  plan: Plan,
  group: Extract<SlotGroup, { nodes: readonly Node[] }>,
  frame: Map<string, ReadonlySet<number>>,
): ChosenListed[] {
  const kept = group.mustDiffer ? group.nodes.filter((node) => differs(plan, node, frame)) : group.nodes;
  return kept.map((node) => ({ ...node, stratum: "all", inclusionProbability: 1 }));
}

function differs(plan: Plan, node: NodeOf<"feature">, frame: Map<string, ReadonlySet<number>>): boolean {
  const seen = must(frame.get(siteHook(node)), "frame");
  const width = featuresAt(plan, node);
  if (node.position !== GLOBAL_POSITION) return seen.has(node.position * width + node.feature);
  return countPositions(plan, selectionIndexes(plan)).some((_, t) => seen.has(t * width + node.feature));
}

/** A group whose nodes are chosen. */
type DrawGroup = Extract<SlotGroup, { choose: unknown }>;

/** What a group's nodes are chosen from. */
interface Draw {
  readonly frame: readonly Candidate[];
  readonly label: string;
  readonly seed: number;
}

/** The frame of every group whose nodes are chosen. */
async function drawsOf(
  plan: Plan,
  groups: readonly SlotGroup[],
  { frame, read }: { readonly frame: Map<string, ReadonlySet<number>>; readonly read: ReadArtifact },
): Promise<Map<SlotGroup, Draw>> {
  const scores = new Map<string, ScoreMeans>();
  const draws = new Map<SlotGroup, Draw>();
  for (const group of groups) {
    if (!("choose" in group)) continue;
    const { by, seed = plan.sweep.seed, positions, at } = group.choose;
    const means = scores.get(by) ?? (await readScoreMeans(read, by));
    scores.set(by, means);
    const label = `${streamName(at, group.kind)}${positions === null ? ".global" : ""}`;
    draws.set(group, { frame: frameOf(plan, group, means, frame), label, seed });
  }
  return draws;
}

function frameOf(
  plan: Plan,
  { kind, choose: { at, positions } }: DrawGroup,
  scores: ScoreMeans,
  frame: ReadonlyMap<string, ReadonlySet<number>>,
): readonly Candidate[] {
  const ofSite = must(scores[KINDS[kind].states].get(scoresKey(at, kind)), `scores of ${nodeHook(at, kind)}`);
  const members = KINDS[kind].isSparse ? must(frame.get(siteHook(at)), "frame") : nonZero(ofSite);
  const local = candidates(KINDS[kind].perPosition(sizesAt(plan, at)), members, ofSite);
  return positions === null
    ? sumOverPositions(plan, local)
    : local.filter(({ position }) => positions.includes(position));
}

function strongestOf(group: DrawGroup, draws: ReadonlyMap<SlotGroup, Draw>): ChosenListed[] {
  return strongestNodes(must(draws.get(group), "draw").frame, group.choose.top).map((node) => listedNode(group, node));
}

/** @param certain - keys of all nodes that any group takes with certainty. */
function sampledOf(
  group: DrawGroup,
  draws: ReadonlyMap<SlotGroup, Draw>,
  certain: ReadonlySet<string>,
): ChosenListed[] {
  const { random, strata, at } = group.choose;
  const { frame, label, seed } = must(draws.get(group), "draw");
  if (random === 0) return [];
  const rest = frame.filter(
    ({ position, index }) => !certain.has(nodeKey(nodeAt(group.kind, { ...at, position }, index))),
  );
  return sampledNodes(rest, { random, strata, seed, label }).map((node) => listedNode(group, node));
}

function listedNode(
  { kind, choose: { at } }: DrawGroup,
  { position, index, stratum, inclusionProbability }: ChosenNode,
): ChosenListed {
  return { ...nodeAt(kind, { ...at, position }, index), stratum, inclusionProbability };
}

/** By position, then index, as the slots of a place are ordered. */
function comparePositions(a: ChosenListed, b: ChosenListed): number {
  const indexAt = (node: Node): number => {
    const { index } = KINDS[node.kind];
    return index === null ? 0 : must(indexOf(node, index), index);
  };
  return positionColumn(a.position) - positionColumn(b.position) || indexAt(a) - indexAt(b);
}

/** Warns of the places where nodes were to be chosen and there is none to choose. */
function withoutNodes(groups: readonly SlotGroup[], nodes: readonly ListedNode[]): string[] {
  let start = 0;
  const empty = groups.filter((group) => {
    const [from, to] = [start, start + slotCount(group)];
    start = to;
    return "choose" in group && !nodes.some(({ slot }) => slot >= from && slot < to);
  }) as DrawGroup[];
  const [first] = empty;
  if (first === undefined) return [];
  const { kind, choose } = first;
  const places = `${String(empty.length)} place${empty.length > 1 ? "s" : ""}`;
  return [
    `truth: no node was left to choose at ${places}, the first ${nodeHook(choose.at, kind)}: at the positions asked for ` +
      "no such node differs between clean and corrupted prompts, or another set has all of them",
  ];
}

/** Name of the random stream of a site's nodes of a kind. */
function streamName(at: SiteAt, kind: NodeKind): string {
  return kind === "feature" ? siteHook(at) : nodeHook(at, kind);
}

/** A candidate at one position. */
type LocalCandidate = Candidate & { readonly position: number };

/** Nodes by their index `position * width + index within the position`. */
function candidates(width: number, members: Iterable<number>, scores: Float32Array): LocalCandidate[] {
  return Array.from(members, (member) => ({
    position: Math.floor(member / width),
    index: member % width,
    score: must(scores[member], "score"),
  }));
}

/** The frame of nodes that have whole arrays of scores: those whose mean score is not 0, as it is where nothing differs. */
function* nonZero(scores: Float32Array): Generator<number> {
  for (let i = 0; i < scores.length; i++) if (scores[i] !== 0) yield i;
}

/** Candidates patched at all positions at once: their score is the prompt mean of the sum over positions. */
function sumOverPositions(plan: Plan, local: readonly LocalCandidate[]): Candidate[] {
  const chosen = selectionIndexes(plan);
  const counts = countPositions(plan, chosen);
  const sums = new Map<number, number>();
  const ordered = [...local].sort((a, b) => a.index - b.index || a.position - b.position);
  for (const { position, index, score } of ordered) {
    sums.set(index, (sums.get(index) ?? 0) + (score * must(counts[position], "count")) / chosen.length);
  }
  return [...sums].map(([index, score]) => ({ position: GLOBAL_POSITION, index, score }));
}

function featuresAt({ saes }: Plan, at: SiteAt): number {
  return must(
    saes.find(({ site, layer }) => site === at.site && layer === at.layer),
    "SAE",
  ).dSae;
}
