/** @file Ranks of the largest nodes of each kind, by the effects and the estimators that are compared. */
import { must } from "../base/assert.js";
import { familiesOf as kindsOf } from "../experiments/truth/report/group-labels.js";
import type { TruthTable } from "../experiments/truth/truth-table.js";
import type { NodeKind } from "../nodes/kinds.js";
import type { Resamples } from "../stats/bootstrap.js";
import { spelled } from "../tables/agreement-tables.js";
import { ranksOfLargest, type NodeRanks, type RankedBy } from "./node-ranks.js";
import {
  enteringOf,
  sideOf,
  type PairedContext,
  type PairedFamily,
  type ScorePair,
  type Side,
  type Sides,
} from "./paired-sides.js";

/** Nodes of each kind whose ranks are given. */
const RANKED_NODES = 10;

/** The largest nodes of one kind; those patched at all positions at once apart. */
export interface KindRanks {
  readonly kind: NodeKind;
  readonly global: boolean;
  /** Nodes that were ranked. */
  readonly n: number;
  /** Nodes of the frame that they stand for: the last place that a node can have. */
  readonly places: number;
  /** What they are ranked by: effects first. */
  readonly columns: readonly string[];
  readonly nodes: readonly NodeRanks[];
}

/** Ranks within each kind, over all of its sites. A kind of which the runs measured different nodes has none. */
export function kindRanks(
  tables: Sides<TruthTable>,
  families: readonly PairedFamily[],
  pairs: readonly ScorePair[],
  context: PairedContext & { readonly draws: Resamples },
): KindRanks[] {
  return kindsOf(families.map(({ a }) => a)).flatMap(({ kind, global }) => {
    const own = families.filter(({ a }) => a.kind === kind && a.global === global);
    if (own.some(({ isSame }) => !isSame)) return [];
    const sides = rankedSides(tables, own, context);
    const [{ table, family }] = sides;
    const nodes = family.members.map((n) => must(table.nodes[n], "node"));
    const quantities = quantitiesOf(sides, pairs);
    return [
      {
        kind,
        global,
        n: nodes.length,
        places: nodes.reduce((sum, { inclusionProbability }) => sum + 1 / inclusionProbability, 0),
        columns: quantities.map(({ label }) => label),
        nodes: ranksOfLargest(nodes, quantities, RANKED_NODES, context.draws),
      },
    ];
  });
}

/** The nodes of all of these families that enter, in both runs. */
function rankedSides(
  tables: Sides<TruthTable>,
  families: readonly PairedFamily[],
  context: PairedContext,
): Sides<Side> {
  const sideWith = (s: 0 | 1, members: readonly number[]): Side =>
    sideOf(tables[s], { ...must(families[0], "family").a, members });
  const [inA, inB] = [families.flatMap(({ a }) => a.members), families.flatMap(({ b }) => b.members)];
  const [entering] = enteringOf([sideWith(0, inA), sideWith(1, inB)], true, context);
  const among = (members: readonly number[]): number[] => entering.map((i) => must(members[i], "member"));
  return [sideWith(0, among(inA)), sideWith(1, among(inB))];
}

/** Effects and estimators, each once; of two runs with the run's letter. */
function quantitiesOf([a, b]: Sides<Side>, pairs: readonly ScorePair[]): RankedBy[] {
  const scoreOf = ({ scores }: Side, name: string) => must(scores.get(name), name);
  if (a.table === b.table) {
    const names = [...new Set(pairs.flat())];
    return [
      { label: "effect", matrix: a.truth },
      ...names.map((name) => ({ label: spelled(name), matrix: scoreOf(a, name) })),
    ];
  }
  return [
    { label: "effect in A", matrix: a.truth },
    { label: "effect in B", matrix: b.truth },
    ...pairs.flatMap(([ofA, ofB]) => [
      { label: `${spelled(ofA)} in A`, matrix: scoreOf(a, ofA) },
      { label: `${spelled(ofB)} in B`, matrix: scoreOf(b, ofB) },
    ]),
  ];
}
