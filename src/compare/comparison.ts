/** @file Compares two runs, or the estimators of one: everything that tables, figure and JSON show. */
import { badInput } from "../base/errors.js";
import type { TruthTable } from "../experiments/truth/truth-table.js";
import { firstPatched } from "../experiments/truth/validation-groups.js";
import { evaluatedPrompts } from "../plan/held-out.js";
import { RESAMPLES, resampleClusters, type Resamples } from "../stats/bootstrap.js";
import { promptClusters } from "../stats/clusters.js";
import { agreementDifferences, type AgreementDifference } from "./agreement-differences.js";
import { circuitDifferences, type CircuitDifference } from "./circuit-differences.js";
import { readCircuits, readTruth, type ComparedRun } from "./compared-run.js";
import { kindRanks, type KindRanks } from "./kind-ranks.js";
import type { PairedContext, ScorePair, Sides } from "./paired-sides.js";
import { expectComparable, sharedFamilies, type Allowable } from "./refusals.js";
import { sweepDifferences, type SweepDifference } from "./sweep-differences.js";

/** What a reader asks of a comparison. */
export interface ComparisonOptions {
  /** Estimator of the first run, and of the second; null for those of one name, or in one run for every pair. */
  readonly estimators: ScorePair | null;
  /** Parts that may differ. */
  readonly allowed: ReadonlySet<Allowable>;
  /** Number of bootstrap resamples. */
  readonly resamples?: number;
}

/** A second run or estimator less a first. */
export interface Comparison {
  readonly a: ComparedRun;
  /** The same as `a` where estimators of one run are compared. */
  readonly b: ComparedRun;
  /** Clusters that the prompts form. */
  readonly clusters: number;
  readonly swept: readonly SweepDifference[];
  readonly agreement: readonly AgreementDifference[];
  readonly ranks: readonly KindRanks[];
  readonly circuits: readonly CircuitDifference[];
}

/** Passes where there is something to compare. @throws PatchbayError `bad_input`. */
export function expectComparison(a: ComparedRun, b: ComparedRun, { estimators, allowed }: ComparisonOptions): void {
  if (a !== b) {
    expectTwoRuns(a, b);
    expectComparable(a, b, allowed);
  }
  const hasTruth = sharedFamilies(a, b).length > 0;
  if (hasTruth || a === b || estimators !== null) pairsOf(a, b, estimators);
  if (a !== b && !hasTruth && estimators !== null)
    throw badInput("expected true effects of the same kind at the same site in both runs, found none", { file: b.folder, field: "--estimators" }); // prettier-ignore
  const hasCircuits = a !== b && a.hasCircuits && b.hasCircuits;
  if (hasTruth || hasCircuits) return;
  const what = a === b ? "true effects" : "true effects of the same kind at the same site, or circuits, in both runs";
  throw badInput(`expected ${what}, found none`, { file: b.folder });
}

/** A folder is one run, however its path is written. */
function expectTwoRuns(a: ComparedRun, b: ComparedRun): void {
  if (a.path !== b.path) return;
  throw badInput(
    `expected a run other than ${a.folder}, got the same folder; name it alone to compare its scores with one another`,
    { file: b.folder },
  );
}

/** Compares them. Both share every draw: the seed is the first run's. @throws PatchbayError as {@link expectComparison}; `damaged_artifact`. */
export async function compareRuns(a: ComparedRun, b: ComparedRun, options: ComparisonOptions): Promise<Comparison> {
  expectComparison(a, b, options);
  const { sweep } = a.plan;
  const prompts = evaluatedPrompts(a.plan);
  const clusters = promptClusters(prompts);
  const { resamples = RESAMPLES } = options;
  const draws = resampleClusters(clusters, resamples, sweep.seed);
  const context = { clusters, first: firstPatched(sweep, prompts), seed: sweep.seed, resamples };
  return {
    a,
    b,
    clusters: clusters.count,
    swept: a === b ? [] : sweepDifferences(a, b),
    ...(await truthDifferences(a, b, options, { ...context, draws })),
    circuits: await differencesOfCircuits(a, b, draws),
  };
}

async function truthDifferences(
  a: ComparedRun,
  b: ComparedRun,
  { estimators }: ComparisonOptions,
  context: PairedContext & { readonly draws: Resamples },
): Promise<Pick<Comparison, "agreement" | "ranks">> {
  const families = sharedFamilies(a, b);
  if (families.length === 0) return { agreement: [], ranks: [] };
  const pairs = pairsOf(a, b, estimators);
  const first = await readTruth(a);
  const tables: Sides<TruthTable> = [first, a === b ? first : await readTruth(b)];
  return {
    agreement: families.flatMap((family) => agreementDifferences(tables, family, pairs, context)),
    ranks: kindRanks(tables, families, pairs, context),
  };
}

async function differencesOfCircuits(a: ComparedRun, b: ComparedRun, draws: Resamples): Promise<CircuitDifference[]> {
  if (a === b || !a.hasCircuits || !b.hasCircuits) return [];
  return circuitDifferences(await readCircuits(a), await readCircuits(b), draws);
}

/** The estimators that are compared with one another. @throws PatchbayError `bad_input` where a run has none of a name. */
function pairsOf(a: ComparedRun, b: ComparedRun, estimators: ScorePair | null): ScorePair[] {
  const [ofA, ofB] = [namesOf(a), namesOf(b)];
  if (estimators !== null) {
    expectScore(a, estimators[0]);
    expectScore(b, estimators[1]);
    if (a === b && estimators[0] === estimators[1])
      throw badInput(`expected two scores of one run (${ofA.join(", ")}), got ${estimators[0]} twice`, { field: "--estimators" }); // prettier-ignore
    return [estimators];
  }
  if (a === b) {
    if (ofA.length < 2)
      throw badInput(`expected two scores to compare, the run has ${ofA.length === 0 ? "none" : `one (${ofA.join()})`}; name another run beside it`, { file: a.folder }); // prettier-ignore
    return ofA.flatMap((first, i) => ofA.slice(i + 1).map((second): ScorePair => [first, second]));
  }
  const common = ofA.filter((name) => ofB.includes(name));
  if (common.length === 0)
    throw badInput(
      `expected scores of one name in both runs, found ${ofA.join(", ")} in ${a.folder} and ${ofB.join(", ")} here; name one of each: --estimators ${ofA[0] ?? ""},${ofB[0] ?? ""}`,
      { file: b.folder, field: "scores" },
    );
  return common.map((name) => [name, name]);
}

function expectScore(run: ComparedRun, name: string): void {
  const names = namesOf(run);
  if (!names.includes(name))
    throw badInput(`expected a score of ${run.folder} (${names.join(", ")}), got ${name}`, { field: "--estimators" });
}

function namesOf({ plan }: ComparedRun): string[] {
  return plan.sweep.scores.map(({ name }) => name);
}
