/**
 * @file How much better or worse one estimator agrees with the true effects than another: of two runs, or two of one run.
 *
 * 1. Each is compared with the true effects of its own run, by the frame-weighted statistics of `validation.json`.
 * 2. Where both runs measured the same nodes, those enter that enter in either run: both sides have the same nodes.
 * 3. Both are resampled with the same draws of clusters and of nodes, so their difference is paired.
 */
import { must } from "../base/assert.js";
import { designOf, type Family } from "../experiments/truth/validation-groups.js";
import type { TruthTable } from "../experiments/truth/truth-table.js";
import type { Statistic } from "../stats/agreement.js";
import type { Interval } from "../stats/bootstrap.js";
import { differenceOf, validateFamily, type GroupAgreement } from "../stats/validation.js";
import {
  enteringOf,
  sideOf,
  type PairedContext,
  type PairedFamily,
  type ScorePair,
  type Side,
  type Sides,
} from "./paired-sides.js";

/** The statistics that are compared. */
const COMPARED = ["pearson", "spearman", "off", "slope", "size_ratio"] as const satisfies readonly Statistic[];
/** The name of one of them. */
export type ComparedStatistic = (typeof COMPARED)[number];

/** One statistic of two estimators, and its paired difference: the second less the first. */
export interface AgreementDifference {
  readonly family: Pick<Family, "kind" | "site" | "global">;
  readonly scores: ScorePair;
  /** Nodes compared on each side. */
  readonly n: Sides<number>;
  /** Whether both sides have the same nodes. */
  readonly isSame: boolean;
  readonly statistic: ComparedStatistic;
  readonly a: Interval;
  readonly b: Interval;
  readonly difference: Interval;
}

/** Every statistic of each pair of estimators, over the nodes of one family. */
export function agreementDifferences(
  [first, second]: Sides<TruthTable>,
  family: PairedFamily,
  pairs: readonly ScorePair[],
  context: PairedContext,
): AgreementDifference[] {
  const sides = [sideOf(first, family.a), sideOf(second, family.b)] as const;
  const [inA, inB] = enteringOf(sides, family.isSame, context);
  const [ofA, ofB] =
    first === second
      ? sameRun(agreementsOf(sides[0], inA, pairs.flat(), context))
      : [
          agreementsOf(sides[0], inA, pairs.map(([name]) => name), context), // prettier-ignore
          agreementsOf(sides[1], inB, pairs.map(([, name]) => name), context), // prettier-ignore
        ];
  return pairs.flatMap((scores) => {
    const [a, b] = [must(ofA.get(scores[0]), scores[0]), must(ofB.get(scores[1]), scores[1])];
    return COMPARED.map((statistic) => ({
      family: family.a,
      scores,
      n: [a.n, b.n] as const,
      isSame: family.isSame,
      statistic,
      a: a.frame[statistic],
      b: b.frame[statistic],
      difference: differenceOf(b, a, statistic, context.clusters.count),
    }));
  });
}

/** Estimators of one run are resampled once. */
function sameRun<T>(agreements: T): Sides<T> {
  return [agreements, agreements];
}

function agreementsOf(
  { table, family, truth, scores }: Side,
  members: readonly number[],
  wanted: readonly string[],
  { clusters, seed, resamples }: PairedContext,
): ReadonlyMap<string, GroupAgreement> {
  const names = [...new Set(wanted)];
  const found = validateFamily({
    truth,
    scores: names.map((name) => must(scores.get(name), name)),
    clusters,
    design: designOf(family, table.nodes),
    groups: [members],
    seed,
    resamples,
  });
  return new Map(names.map((name, s) => [name, must(found[s]?.[0], name)]));
}
