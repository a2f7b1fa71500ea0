/**
 * @file Which scores estimate the effect that a sweep's truth measures: those whose donor is the truth's. Others estimate another effect,
 * and are compared for what they are.
 */
import { methodOf, type ScoreMethod, type ScoreMethods } from "../../methods/score-method.js";
import { type TruthDonor, truthDonorOf } from "../../plan/node-list.js";
import type { SweepSource } from "../../sweep/read-sweep.js";
import type { ScoreSpec } from "../../sweep/sweep.js";

/** A sweep, or what is left of it in a plan. */
interface Scored {
  readonly scores: readonly ScoreSpec[];
  readonly [field: string]: unknown;
}

/** What becomes of a node, by the donor: the end of "the effect of". */
export const DONOR_EFFECTS: Readonly<Record<TruthDonor, string>> = {
  corrupted: "patching a node from the corrupted prompt",
  mean: "setting a node to its mean",
  zero: "setting a node to zero",
};

/** Donors of a sweep's scores, by name. */
export function scoreDonors(methods: ScoreMethods, { scores }: Scored): ReadonlyMap<string, ScoreMethod["donor"]> {
  return new Map(scores.map((score) => [score.name, methodOf(methods, score).donor]));
}

/** Names of the scores that estimate the measured effect. */
export function fittingScores(methods: ScoreMethods, sweep: Scored): string[] {
  const donor = truthDonorOf(sweep);
  return [...scoreDonors(methods, sweep)].flatMap(([name, own]) => (own === donor ? [name] : []));
}

/** Names of the methods whose scores estimate the effect of a donor. */
export function fittingMethods(methods: ScoreMethods, donor: TruthDonor): string[] {
  return Object.entries(methods).flatMap(([name, method]) => (method.donor === donor ? [name] : []));
}

/** @throws PatchbayError `bad_input` where a method would fit the truth's donor, and no score of the sweep does. */
export function checkDonor(methods: ScoreMethods, { sweep, fault }: SweepSource): void {
  const donor = truthDonorOf(sweep);
  const fitting = fittingMethods(methods, donor);
  if (sweep.scores.length === 0 || fitting.length === 0 || fittingScores(methods, sweep).length > 0) return;
  const names = sweep.scores.map(({ name }) => name).join(", ");
  throw fault(
    ["truth", "donor"],
    `measures the effect of ${DONOR_EFFECTS[donor]}, which none of the scores (${names}) estimates; ` +
      `add one of method ${fitting.join(", ")} under \`scores\`, or choose another donor`,
  );
}
