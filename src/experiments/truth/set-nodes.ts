/** @file The nodes of sets that go by scores, as `nodes.parquet` lists them. */
import { must } from "../../base/assert.js";
import { countPositions } from "../../artifacts/position-counts.js";
import { readSetScores } from "../../artifacts/set-scores.js";
import type { EndNodes } from "../../artifacts/end-scores.js";
import type { RecordSource } from "../../artifacts/stage-records.js";
import { KINDS } from "../../nodes/kinds.js";
import { nodeKey, parseNodeHook } from "../../nodes/node.js";
import { siteHook } from "../../nodes/site.js";
import { selectionIndexes, tokenCounts } from "../../plan/held-out.js";
import {
  findNodes,
  type FoundNodes,
  measuredContext,
  nodeOfIndex,
  nodesIn,
  type NodeTest,
} from "../../plan/measured-sets.js";
import { nodesPerPlace } from "../../plan/node-places.js";
import { DEFAULT_SCORES, scoresOfSet } from "../../plan/node-sets.js";
import type { SlotGroup } from "../../plan/node-slots.js";
import type { Plan } from "../../plan/plan.js";
import type { ResolvedSet, ScoreOf, SetContext } from "../../plan/resolve-set.js";
import { setContext } from "../../plan/set-context.js";
import { isScored, setsOf, termsOf } from "../../plan/set-expression.js";
import { placesOfSet } from "../../plan/set-places.js";
import type { ReadArtifact } from "../../run/artifacts.js";
import type { ChosenListed } from "./node-table.js";

/** The nodes of a group. */
export interface GroupNodes {
  readonly sure: readonly ChosenListed[];
  /** @param certain - keys of all nodes that any group takes with certainty. */
  readonly draw: (certain: ReadonlySet<string>) => readonly ChosenListed[];
}

/** A group of slots for a set. */
type SetGroup = Extract<SlotGroup, { find: unknown }>;

/** What sets are resolved with. */
interface SearchInputs {
  /** By site hook: features that the donor changes, as `position * F + feature`. */
  readonly frame: ReadonlyMap<string, ReadonlySet<number>>;
  readonly read: ReadArtifact;
}

/** The nodes of every group for a set, each set resolved once. */
export async function searchesOf(
  source: RecordSource,
  groups: readonly SlotGroup[],
  { frame, read }: SearchInputs,
): Promise<Map<SlotGroup, GroupNodes>> {
  const { plan } = source;
  const found = groups.filter((group): group is SetGroup => "find" in group);
  if (found.length === 0) return new Map();
  const context = await contextOf(source, found, read);
  const resolved = new Map<string, FoundNodes>();
  return new Map(
    found.map((group) => {
      const { set, isGlobal } = group.find;
      const own = measuredContext(isGlobal ? { ...context, scores: summed(plan, context.scores) } : context, isGlobal);
      const key = JSON.stringify([set, isGlobal]);
      const nodes = resolved.get(key) ?? findNodes(set, own, framesOf(group, own, frame));
      resolved.set(key, nodes);
      return [group, listedBy(group, own, nodes)];
    }),
  );
}

/** What the sets are resolved against, with all scores that they go by. */
async function contextOf(source: RecordSource, groups: readonly SetGroup[], read: ReadArtifact): Promise<SetContext> {
  const { plan } = source;
  const sets = setsOf(plan.sweep);
  const names = new Set(groups.flatMap(({ find }) => scoresOfSet(find.set, sets)));
  const known = setContext({ ...plan, lengths: tokenCounts(plan) });
  const context = { ...known, by: DEFAULT_SCORES, seed: plan.sweep.seed };
  const ends = endNodes(groups, measuredContext({ ...context, scores: () => () => () => Number.NaN }, false));
  const scores = new Map<string, ScoreOf>();
  for (const name of names) scores.set(name, await readSetScores(name, { source, read, ends }));
  return { ...context, scores: (name) => must(scores.get(name), name) };
}

/** Nodes at positions from the end that sets name, or go by. */
function endNodes(groups: readonly SetGroup[], context: SetContext): EndNodes[] {
  const ends = new Map<string, Set<number>>();
  for (const { find } of groups)
    for (const term of termsOf(find.set, context.sets))
      for (const [hook, positions] of placesOfSet(term, context)) {
        const own = ends.get(hook) ?? new Set<number>();
        ends.set(hook, own);
        for (const position of positions) if (position < 0) own.add(position);
      }
  return [...ends].flatMap(([hook, positions]) => {
    const at = must(parseNodeHook(hook), hook);
    return positions.size === 0 ? [] : [{ kind: at.kind, at, ends: [...positions] }];
  });
}

/** Scores of nodes that are patched at all positions at once: the prompt mean of the sum over positions. */
function summed(plan: Plan, scores: SetContext["scores"]): SetContext["scores"] {
  const chosen = selectionIndexes(plan);
  const counts = countPositions(plan, chosen);
  const widthOf = nodesPerPlace(plan);
  const known = new Map<string, Float64Array>();
  const sumsOf = (name: string, hook: string): Float64Array => {
    const [score, width] = [scores(name)(hook), widthOf(hook)];
    return Float64Array.from({ length: width }, (_, index) =>
      counts.reduce((sum, count, t) => sum + (score(t * width + index) * count) / chosen.length, 0),
    );
  };
  return (name) => (hook) => {
    const key = `${name} ${hook}`;
    const sums = known.get(key) ?? sumsOf(name, hook);
    known.set(key, sums);
    return (index) => must(sums[index], "score");
  };
}

/** Features that the donor changes somewhere, and of other kinds, where a set goes by scores itself, nodes whose mean score is not 0. */
function framesOf({ find }: SetGroup, context: SetContext, frame: SearchInputs["frame"]): NodeTest {
  const widthOf = nodesPerPlace(context);
  const [own] = typeof find.set === "string" || !isScored(find.set) ? [] : [find.set.by ?? context.by];
  return (hook) => {
    const at = must(parseNodeHook(hook), hook);
    if (KINDS[at.kind].isSparse) {
      const changed = must(frame.get(siteHook(at)), "frame");
      if (!find.isGlobal) return (index) => changed.has(index);
      const width = widthOf(hook);
      const anywhere = new Set([...changed].filter((index) => index >= 0).map((index) => index % width));
      return (index) => anywhere.has(index);
    }
    if (own === undefined) return () => true;
    const score = context.scores(own)(hook);
    return (index) => score(index) !== 0;
  };
}

function listedBy(group: SetGroup, context: SetContext, { sure, draw }: FoundNodes): GroupNodes {
  const listed = ({ nodes, drawn }: ResolvedSet): ChosenListed[] =>
    nodesIn(nodes, group.kind, context).map(({ node, hook, index }) => ({
      ...node,
      stratum: isRanked(group, context) ? "top" : "all",
      inclusionProbability: 1,
      ...drawn.get(hook)?.get(index),
    }));
  return {
    sure: listed(sure),
    draw: (certain) => listed(draw((hook) => (index) => !certain.has(nodeKey(nodeOfIndex(hook, index, context))))),
  };
}

/** Whether any rank chose a set's nodes. */
function isRanked({ find }: SetGroup, { sets }: SetContext): boolean {
  return termsOf(find.set, sets).some(({ top }) => top !== undefined);
}
