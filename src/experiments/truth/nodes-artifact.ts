/** @file `nodes.parquet`: the nodes whose truth is measured, each with its slot of the plan. A slot without a row is empty. */
import { assert, must } from "../../base/assert.js";
import { INDEX_FIELDS, KINDS, type NodeKind } from "../../nodes/kinds.js";
import {
  comparePositions,
  GLOBAL_POSITION,
  hookOf,
  indexOf,
  type Node,
  nodeAt,
  nodeHook,
  nodeKey,
  type NodeOf,
  type NodePosition,
} from "../../nodes/node.js";
import { globalColumn, indexColumn, positionColumn } from "../../nodes/node-columns.js";
import { siteHook, type SiteAt, SITES } from "../../nodes/site.js";
import { type Candidate, type ChosenNode, sampledNodes, strongestNodes } from "../../nodes/choose-nodes.js";
import { selectionIndexes, tokenCounts } from "../../plan/held-out.js";
import { nodeListOf, truthDonorOf } from "../../plan/node-list.js";
import { sizesAt } from "../../plan/node-places.js";
import { slotCount, type SlotGroup, slotGroups } from "../../plan/node-slots.js";
import type { Plan, StageTask } from "../../plan/plan.js";
import { artifactMetadata } from "../../artifacts/artifact-metadata.js";
import { type Column, encodeParquet } from "../../artifacts/parquet.js";
import { countPositions, lengthOf } from "../../artifacts/position-counts.js";
import { forEachRecord, type RecordSource } from "../../artifacts/stage-records.js";
import { decodeMeans } from "../../artifacts/means-payload.js";
import { readScoreMeans, type ScoreMeans } from "../../artifacts/scores-file.js";
import { scoresKey } from "../../nodes/node-states.js";
import type { ReductionInputs } from "../../artifacts/reduction.js";
import type { ReadArtifact } from "../../run/artifacts.js";
import { type EndScores, readEndScores } from "../../artifacts/end-scores.js";
import { type ChosenListed, type ListedNode, NODES_FILE } from "./node-table.js";
import { type GroupNodes, searchesOf } from "./set-nodes.js";

/** Chooses the nodes (static ones, and others by frame and scores) and writes the list. */
export async function reduce(
  _task: StageTask,
  { source, provenance, artifacts }: ReductionInputs,
): Promise<readonly string[]> {
  const { plan } = source;
  const groups = slotGroups({ ...plan, lengths: tokenCounts(plan) });
  const frame = groups.some(isFramed) ? await readFrame(source, groups) : new Map<string, ReadonlySet<number>>();
  const draws = await drawsOf(source, groups, { frame, read: artifacts.read });
  const searches = await searchesOf(source, groups, { frame, read: artifacts.read });
  const parts = groups.map((group): GroupNodes => {
    if ("nodes" in group) return { sure: staticNodes(plan, group, frame), draw: () => [] };
    if ("find" in group) return must(searches.get(group), "set");
    return { sure: strongestOf(group, draws), draw: (certain) => sampledOf(group, draws, certain) };
  });
  const nodes = slotted(groups, parts, nodeListOf(plan.sweep)?.nodes !== undefined);
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
        { name: "global", type: "BOOLEAN", values: nodes.map(({ position }) => globalColumn(position)) },
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

/** Whether a group's nodes are features that the donor must change somewhere. */
function isFramed(group: SlotGroup): boolean {
  return group.kind === "feature" && (!("nodes" in group) || group.mustDiffer);
}

/**
 * The nodes of every group in its slots. A node that several groups name is listed once, with certainty where any takes it so.
 * @param hasSets - whether groups may name a node twice: short forms alone name none twice, and may name millions.
 */
function slotted(groups: readonly SlotGroup[], parts: readonly GroupNodes[], hasSets: boolean): ListedNode[] {
  const certain = new Set(
    groups.flatMap((group, g) => {
      const { sure } = must(parts[g], "nodes");
      return hasSets || "choose" in group ? sure.filter(isCertain).map(nodeKey) : [];
    }),
  );
  const taken = new Set<string>();
  const isNew = (node: ChosenListed): boolean =>
    (isCertain(node) || !certain.has(nodeKey(node))) && taken.size !== taken.add(nodeKey(node)).size;
  let start = 0;
  return groups.flatMap((group, g) => {
    const { sure, draw } = must(parts[g], "nodes");
    const candidates = "nodes" in group ? sure : [...sure, ...draw(certain)].sort(compareSlots);
    const listed = hasSets ? candidates.filter(isNew) : candidates;
    assert(listed.length <= slotCount(group), "a slot for each node");
    const own = listed.map((node, i) => ({ ...node, slot: start + i }));
    start += slotCount(group);
    return own;
  });
}

function isCertain({ inclusionProbability }: ChosenListed): boolean {
  return inclusionProbability === 1;
}

/**
 * By site hook: indexes `position * F + feature` that the donor changes in at least one prompt. The corrupted run does where clean and
 * corrupted differ; the mean and 0 do where a feature fires on either side. Positions from the end are among them where a group names them.
 */
async function readFrame(
  { plan, ...source }: RecordSource,
  groups: readonly SlotGroup[],
): Promise<Map<string, ReadonlySet<number>>> {
  const frame = new Map<string, Set<number>>(plan.saes.map((sae) => [siteHook(sae), new Set()]));
  const widths = new Map(plan.saes.map((sae) => [siteHook(sae), sae.dSae]));
  const ends = new Set(groups.flatMap(endsOf));
  const donor = truthDonorOf(plan.sweep);
  await forEachRecord({ plan, ...source }, "means", ({ prompts }, payload) => {
    const length = lengthOf(plan, must(prompts[0], "first prompt"));
    for (const [hook, { index: fires, differs }] of decodeMeans(payload).features) {
      const [seen, width] = [must(frame.get(hook), hook), must(widths.get(hook), hook)];
      for (const index of donor === "corrupted" ? differs : fires) {
        seen.add(index);
        if (ends.has(Math.floor(index / width) - length)) seen.add(index - length * width);
      }
    }
  });
  return frame;
}

/** Positions from the end that a group names. */
function endsOf(group: SlotGroup): number[] {
  const positions = positionsIn(group);
  return [...new Set(positions)].filter((position) => position !== GLOBAL_POSITION).filter((position) => position < 0);
}

function positionsIn(group: SlotGroup): readonly NodePosition[] {
  if ("nodes" in group) return group.nodes.map(({ position }) => position);
  if ("choose" in group) return group.choose.positions ?? [];
  return group.find.isGlobal ? [] : [...group.find.places.values()].flatMap((positions) => [...positions]);
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
  source: RecordSource,
  groups: readonly SlotGroup[],
  { frame, read }: { readonly frame: Map<string, ReadonlySet<number>>; readonly read: ReadArtifact },
): Promise<Map<SlotGroup, Draw>> {
  const { plan } = source;
  const scores = new Map<string, RankScores>();
  const draws = new Map<SlotGroup, Draw>();
  for (const group of groups) {
    if (!("choose" in group)) continue;
    const { by, seed = plan.sweep.seed, positions, at } = group.choose;
    const ranks = scores.get(by) ?? (await readRankScores(source, read, by, groups));
    scores.set(by, ranks);
    const label = `${streamName(at, group.kind)}${positions === null ? ".global" : ""}`;
    draws.set(group, { frame: frameOf(plan, group, ranks, frame), label, seed });
  }
  return draws;
}

/** Mean scores that nodes are ranked by. */
interface RankScores {
  readonly means: ScoreMeans;
  readonly ends: EndScores;
}

async function readRankScores(
  source: RecordSource,
  read: ReadArtifact,
  by: string,
  groups: readonly SlotGroup[],
): Promise<RankScores> {
  const asked = groups.flatMap((group) => {
    const ends = endsOf(group);
    return "choose" in group && group.choose.by === by && ends.length > 0
      ? [{ kind: group.kind, at: group.choose.at, ends }]
      : [];
  });
  return { means: await readScoreMeans(read, by), ends: await readEndScores(source, by, asked) };
}

function frameOf(
  plan: Plan,
  { kind, choose: { at, positions } }: DrawGroup,
  { means, ends }: RankScores,
  frame: ReadonlyMap<string, ReadonlySet<number>>,
): readonly Candidate[] {
  const ofSite = must(means[KINDS[kind].states].get(scoresKey(at, kind)), `scores of ${nodeHook(at, kind)}`);
  const fromEnd = ends.get(nodeHook(at, kind)) ?? new Map<number, number>();
  const scoreOf = (member: number): number => (member < 0 ? (fromEnd.get(member) ?? 0) : must(ofSite[member], "score"));
  const members = KINDS[kind].isSparse ? must(frame.get(siteHook(at)), "frame") : nonZero(ofSite, fromEnd);
  const local = candidates(KINDS[kind].perPosition(sizesAt(plan, at)), members, scoreOf);
  return positions === null
    ? sumOverPositions(
        plan,
        local.filter(({ position }) => position >= 0),
      )
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

/** As slots are ordered: by layer and site, which the nodes of a draw share, position and index. */
function compareSlots(a: ChosenListed, b: ChosenListed): number {
  const indexAt = (node: Node): number => {
    const { index } = KINDS[node.kind];
    return index === null ? 0 : must(indexOf(node, index), index);
  };
  return (
    a.layer - b.layer ||
    SITES.indexOf(a.site) - SITES.indexOf(b.site) ||
    comparePositions(a.position, b.position) ||
    indexAt(a) - indexAt(b)
  );
}

/** Warns of the places where nodes were to be chosen and there is none to choose. */
function withoutNodes(groups: readonly SlotGroup[], nodes: readonly ListedNode[]): string[] {
  let start = 0;
  const empty = groups.filter((group) => {
    const [from, to] = [start, start + slotCount(group)];
    start = to;
    return !("nodes" in group) && !nodes.some(({ slot }) => slot >= from && slot < to);
  });
  const [first] = empty;
  if (first === undefined) return [];
  const places = `${String(empty.length)} place${empty.length > 1 ? "s" : ""}`;
  return [
    `truth: no node was left to choose at ${places}, the first ${hookIn(first)}: at the positions asked for ` +
      "no such node differs between the clean prompts and what it would be patched with, or another set has all of them",
  ];
}

/** The first node hook of a group. */
function hookIn(group: SlotGroup): string {
  if ("choose" in group) return nodeHook(group.choose.at, group.kind);
  return "find" in group ? must([...group.find.places.keys()][0], "hook") : "";
}

/** Name of the random stream of a site's nodes of a kind. */
function streamName(at: SiteAt, kind: NodeKind): string {
  return kind === "feature" ? siteHook(at) : nodeHook(at, kind);
}

/** A candidate at one position. */
type LocalCandidate = Candidate & { readonly position: number };

/** Nodes by their index `position * width + index within the position`, which is below 0 where the position counts from the end. */
function candidates(width: number, members: Iterable<number>, scoreOf: (member: number) => number): LocalCandidate[] {
  return Array.from(members, (member) => {
    const position = Math.floor(member / width);
    return { position, index: member - position * width, score: scoreOf(member) };
  });
}

/** The frame of nodes that have whole arrays of scores: those whose mean score is not 0, as it is where nothing differs. */
function* nonZero(scores: Float32Array, fromEnd: ReadonlyMap<number, number>): Generator<number> {
  for (let i = 0; i < scores.length; i++) if (scores[i] !== 0) yield i;
  for (const [member, score] of fromEnd) if (score !== 0) yield member;
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
