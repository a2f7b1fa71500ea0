/** @file Agreement in the tiny world: four families of sentence, their prefixes, and what each verb agrees with. */
import { must } from "../../src/base/assert.js";
import type { Agreement, Attractor } from "./error-model.js";
import type { GrammaticalNumber, Noun, Verb } from "./words.js";

/** The agreement families: REFERENCE's templates, in order of difficulty. */
export const FAMILIES = ["simple", "nounpp", "rc", "within_rc"] as const;
export type Family = (typeof FAMILIES)[number];

/** A noun in one number. */
export interface NounUse {
  readonly noun: Noun;
  readonly number: GrammaticalNumber;
}

/** The words chosen for one sentence, before anyone gets agreement wrong. */
export interface SentencePlan {
  readonly family: Family;
  /** The noun before "that" or the preposition; the only noun of a simple sentence. */
  readonly first: NounUse;
  /** The noun of the phrase or clause. */
  readonly second: NounUse | null;
  readonly preposition: string | null;
  /** The verb of the relative clause: rc has it in the prefix, within_rc as the answer. */
  readonly inner: Verb | null;
  /** The verb of the main clause; null for a within_rc prefix, which stops before it. */
  readonly main: Verb | null;
}

/** The form of a noun in its number. */
export function nounForm({ noun, number }: NounUse): string {
  return noun[number];
}

/** The other number. */
export function otherNumber(number: GrammaticalNumber): GrammaticalNumber {
  return number === "singular" ? "plural" : "singular";
}

/** The verb of the relative clause with everything its agreement depends on. */
export function innerAgreement(plan: SentencePlan): Agreement {
  const { noun, number } = must(plan.second, "second noun");
  const attractor: Attractor = { ...plan.first, place: "head" };
  return { subject: noun, number, verb: must(plan.inner, "inner verb"), attractor, preposition: null };
}

/** The main verb with everything its agreement depends on. */
export function mainAgreement(plan: SentencePlan): Agreement {
  const { noun, number } = plan.first;
  const place = plan.family === "nounpp" ? "phrase" : "clause";
  const attractor: Attractor | null = plan.second === null ? null : { ...plan.second, place };
  return { subject: noun, number, verb: must(plan.main, "main verb"), attractor, preposition: plan.preposition };
}

/** The text before the main verb, or before the inner verb for within_rc. The inner verb of rc agrees. */
export function prefixOf(plan: SentencePlan): string {
  const words = ["The", nounForm(plan.first)];
  if (plan.preposition !== null) words.push(plan.preposition);
  if (plan.family === "rc" || plan.family === "within_rc") words.push("that");
  if (plan.second !== null) words.push("the", nounForm(plan.second));
  if (plan.family === "rc") words.push(must(plan.inner, "inner verb")[must(plan.second, "second noun").number]);
  return words.join(" ");
}
