/** @file `nodes.parquet`: the nodes whose truth is measured. Row i is slot i of the plan; slots beyond the last row are empty. */
import { must } from "../../base/assert.js";
import { INDEX_FIELDS, KINDS, type NodeKind } from "../../nodes/kinds.js";
import { GLOBAL_POSITION, hookOf, type Node, nodeAt, nodeHook, nodeKey, type NodeOf } from "../../nodes/node.js";
import { indexColumn, positionColumn } from "../../nodes/node-columns.js";
import { siteHook, type SiteAt } from "../../nodes/site.js";
import { type Candidate, chooseNodes } from "./choose-nodes.js";
import { nodeListOf } from "../../plan/node-list.js";
import { sizesAt, type SlotGroup, slotGroups } from "../../plan/node-slots.js";
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
import { type ListedNode, NODES_FILE } from "./node-table.js";

/** Chooses the nodes (static ones, and features by frame and scores) and writes the list. */
export async function reduce(
  _task: StageTask,
  { source, provenance, artifacts }: ReductionInputs,
): Promise<readonly string[]> {
  const { plan } = source;
  const groups = groupsOf(plan);
  const needsFrame = groups.some((group) => group.kind === "feature" && ("choose" in group || group.mustDiffer));
  const frame = needsFrame ? await readFrame(source) : new Map<string, ReadonlySet<number>>();
  const nodes: ListedNode[] = [];
  const taken = new Set<string>();
  const kept = new Map<string, ScoreMeans>();
  for (const group of groups) {
    const listed =
      "choose" in group
        ? choose(plan, group, { frame, scores: await scoresOf(artifacts, group.choose.by, kept), taken })
        : staticNodes(plan, group, frame);
    for (const node of listed) taken.add(nodeKey(node));
    nodes.push(...listed);
  }
  const table = encodeParquet(
    [
      [
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
  return [];
}

function groupsOf({ sweep, shape, saes, prompts }: Plan): SlotGroup[] {
  return slotGroups({ truth: must(nodeListOf(sweep), "truth"), shape, saes, lengths: lengthsOf(prompts) });
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
): ListedNode[] {
  const kept = group.mustDiffer ? group.nodes.filter((node) => differs(plan, node, frame)) : group.nodes;
  return kept.map((node) => ({ ...node, stratum: "all", inclusionProbability: 1 }));
}

/** Scores by name, read when first asked for. */
async function scoresOf(
  { read }: ReductionInputs["artifacts"],
  by: string,
  kept: Map<string, ScoreMeans>,
): Promise<ScoreMeans> {
  const scores = kept.get(by) ?? (await readScoreMeans(read, by));
  kept.set(by, scores);
  return scores;
}

function differs(plan: Plan, node: NodeOf<"feature">, frame: Map<string, ReadonlySet<number>>): boolean {
  const seen = must(frame.get(siteHook(node)), "frame");
  const width = featuresAt(plan, node);
  if (node.position !== GLOBAL_POSITION) return seen.has(node.position * width + node.feature);
  return countPositions(plan, plan.prompts.keys()).some((_, t) => seen.has(t * width + node.feature));
}

/** What nodes are chosen from. */
interface ChoiceInputs {
  readonly frame: ReadonlyMap<string, ReadonlySet<number>>;
  readonly scores: ScoreMeans;
  /** Keys of nodes that an earlier group has taken. */
  readonly taken: ReadonlySet<string>;
}

function choose(
  plan: Plan,
  { kind, choose: draw }: Extract<SlotGroup, { choose: unknown }>,
  { frame, scores, taken }: ChoiceInputs,
): ListedNode[] {
  const { at, positions, seed = plan.sweep.seed } = draw;
  const ofSite = must(scores[KINDS[kind].states].get(scoresKey(at, kind)), `scores of ${nodeHook(at, kind)}`);
  const members = kind === "feature" ? must(frame.get(siteHook(at)), "frame") : nonZero(ofSite);
  const local = candidates(KINDS[kind].perPosition(sizesAt(plan, at)), members, ofSite);
  const inFrame =
    positions === null ? sumOverPositions(plan, local) : local.filter(({ position }) => positions.includes(position));
  const free = inFrame.filter(({ position, index }) => !taken.has(nodeKey(nodeAt(kind, { ...at, position }, index))));
  const label = `${nodeLabelOf(at, kind)}${positions === null ? ".global" : ""}`;
  return chooseNodes(free, { ...draw, seed, label }).map(({ position, index, stratum, inclusionProbability }) => ({
    ...nodeAt(kind, { ...at, position }, index),
    stratum,
    inclusionProbability,
  }));
}

/** Name of the random stream of a site's nodes of a kind. */
function nodeLabelOf(at: SiteAt, kind: NodeKind): string {
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
  const counts = countPositions(plan, plan.prompts.keys());
  const sums = new Map<number, number>();
  const ordered = [...local].sort((a, b) => a.index - b.index || a.position - b.position);
  for (const { position, index, score } of ordered) {
    sums.set(index, (sums.get(index) ?? 0) + (score * must(counts[position], "count")) / plan.prompts.length);
  }
  return [...sums].map(([index, score]) => ({ position: GLOBAL_POSITION, index, score }));
}

function featuresAt({ saes }: Plan, at: SiteAt): number {
  return must(
    saes.find(({ site, layer }) => site === at.site && layer === at.layer),
    "SAE",
  ).dSae;
}
