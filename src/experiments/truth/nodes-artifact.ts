/** @file `nodes.parquet`: the nodes whose truth is measured. Row i is slot i of the plan; slots beyond the last row are empty. */
import { must } from "../../base/assert.js";
import { INDEX_FIELDS } from "../../nodes/kinds.js";
import { GLOBAL_POSITION, hookOf, type Node, type NodeOf } from "../../nodes/node.js";
import { indexColumn, positionColumn } from "../../nodes/node-columns.js";
import { siteHook, type SiteAt } from "../../nodes/site.js";
import { type Candidate, chooseFeatures } from "./choose-features.js";
import { type FeatureChoice, type SlotGroup, slotGroups, nodeListOf } from "../../plan/node-slots.js";
import type { Plan, StageTask } from "../../plan/plan.js";
import { lengthsOf } from "../../plan/prompt-lengths.js";
import { artifactMetadata } from "../../artifacts/artifact-metadata.js";
import { type Column, encodeParquet } from "../../artifacts/parquet.js";
import { countPositions } from "../../artifacts/position-counts.js";
import { forEachRecord, type RecordSource } from "../../artifacts/stage-records.js";
import { decodeMeans } from "../../artifacts/means-payload.js";
import { readScoreMeans } from "../../artifacts/scores-file.js";
import type { ReductionInputs } from "../../artifacts/reduction.js";
import { type ListedNode, NODES_FILE } from "./node-table.js";

/** Chooses the nodes (static ones, and features by frame and scores) and writes the list. */
export async function reduce(
  _task: StageTask,
  { source, provenance, artifacts }: ReductionInputs,
): Promise<readonly string[]> {
  const { plan } = source;
  const groups = groupsOf(plan);
  const needsFrame = groups.some((group) => "choose" in group || group.mustDiffer);
  const frame = needsFrame ? await readFrame(source) : new Map<string, ReadonlySet<number>>();
  const nodes: ListedNode[] = [];
  const by = groups.find((group) => "choose" in group)?.choose.by;
  const scores =
    by === undefined ? new Map<string, Float32Array>() : (await readScoreMeans(artifacts.read, by)).features;
  for (const group of groups) {
    if ("choose" in group) nodes.push(...choose(plan, group.choose, frame, scores));
    else nodes.push(...staticNodes(plan, group, frame));
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

function differs(plan: Plan, node: NodeOf<"feature">, frame: Map<string, ReadonlySet<number>>): boolean {
  const seen = must(frame.get(siteHook(node)), "frame");
  const width = featuresAt(plan, node);
  if (node.position !== GLOBAL_POSITION) return seen.has(node.position * width + node.feature);
  return countPositions(plan, plan.prompts.keys()).some((_, t) => seen.has(t * width + node.feature));
}

function choose(
  plan: Plan,
  { at, top, random, positions }: FeatureChoice,
  frame: Map<string, ReadonlySet<number>>,
  scoresBySite: ReadonlyMap<string, Float32Array>,
): ListedNode[] {
  const scores = must(scoresBySite.get(siteHook(at)), "scores");
  const local = candidates(plan, at, must(frame.get(siteHook(at)), "frame"), scores);
  const candidateList =
    positions === null ? sumOverPositions(plan, local) : local.filter(({ position }) => positions.includes(position));
  const label = `${siteHook(at)}${positions === null ? ".global" : ""}`;
  return chooseFeatures(candidateList, { top, random, seed: plan.sweep.seed, label }).map(
    ({ position, feature, stratum, inclusionProbability }) => ({
      ...at,
      kind: "feature",
      position,
      feature,
      stratum,
      inclusionProbability,
    }),
  );
}

/** A candidate at one position. */
type LocalCandidate = Candidate & { readonly position: number };

function candidates(plan: Plan, at: SiteAt, seen: ReadonlySet<number>, scores: Float32Array): LocalCandidate[] {
  const width = featuresAt(plan, at);
  return [...seen].map((index) => ({
    position: Math.floor(index / width),
    feature: index % width,
    score: must(scores[index], "score"),
  }));
}

/** Candidates patched at all positions at once: their score is the prompt mean of the sum over positions. */
function sumOverPositions(plan: Plan, local: readonly LocalCandidate[]): Candidate[] {
  const counts = countPositions(plan, plan.prompts.keys());
  const sums = new Map<number, number>();
  const ordered = [...local].sort((a, b) => a.feature - b.feature || a.position - b.position);
  for (const { position, feature, score } of ordered) {
    sums.set(feature, (sums.get(feature) ?? 0) + (score * must(counts[position], "count")) / plan.prompts.length);
  }
  return [...sums].map(([feature, score]) => ({ position: GLOBAL_POSITION, feature, score }));
}

function featuresAt({ saes }: Plan, at: SiteAt): number {
  return must(
    saes.find(({ site, layer }) => site === at.site && layer === at.layer),
    "SAE",
  ).dSae;
}
