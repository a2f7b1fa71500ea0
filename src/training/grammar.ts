/** @file Sentences of the tiny world: four agreement families, and which words may meet in which split. */
import { must } from "../base/assert.js";
import type { Rng } from "../base/rng.js";
import { errorRate, type Agreement, type Attractor } from "./error-model.js";
import {
  CLAUSE_VERBS,
  INNER_VERBS,
  NOUNS,
  NUMBERS,
  PREPOSITIONS,
  type GrammaticalNumber,
  type Noun,
  type Verb,
} from "./words.js";

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

/** Weights of nouns by frequency. Source: Zipf's law with a softened exponent, so that the rarest noun is still learned. */
const ZIPF_EXPONENT = 0.5;
const NOUN_WEIGHTS = NOUNS.map((_, rank) => (rank + 1) ** -ZIPF_EXPONENT);
const FAMILY_WEIGHTS = { simple: 0.25, nounpp: 0.3, rc: 0.45 } as const;

/** A verb of a sentence: where it stands, and how likely its writer was to get it wrong. */
export interface WrittenVerb {
  /** Index into the sentence's words. */
  readonly at: number;
  readonly right: string;
  readonly wrong: string;
  readonly errorRate: number;
}

/** One training sentence, with the agreement errors its writer made. */
export interface Sentence {
  /** Words in order; a full stop ends the sentence. */
  readonly words: readonly string[];
  readonly verbs: readonly WrittenVerb[];
}

/** Draws a training sentence: no noun meets a verb of its own group in it. */
export function drawSentence(rng: Rng): Sentence {
  const plan = drawTrainingPlan(rng);
  const words = ["The", nounForm(plan.first)];
  const verbs: WrittenVerb[] = [];
  const write = (agreement: Agreement): void => {
    const verb = agreementForms(agreement);
    verbs.push({ ...verb, at: words.length });
    words.push(rng.uniform() < verb.errorRate ? verb.wrong : verb.right);
  };
  if (plan.preposition !== null) words.push(plan.preposition);
  if (plan.inner !== null) words.push("that");
  if (plan.second !== null) words.push("the", nounForm(plan.second));
  if (plan.inner !== null) write(innerAgreement(plan));
  write(mainAgreement(plan));
  const { complements } = must(plan.main, "main verb");
  if (complements.length > 0) words.push(pick(complements, rng));
  return { words, verbs };
}

/** The sentence as text. */
export function sentenceText({ words }: Sentence): string {
  return `${words.join(" ")}.`;
}

function agreementForms(agreement: Agreement): Omit<WrittenVerb, "at"> {
  const { verb, number } = agreement;
  return { right: verb[number], wrong: verb[otherNumber(number)], errorRate: errorRate(agreement) };
}

function drawTrainingPlan(rng: Rng): SentencePlan {
  const family = drawFamily(rng);
  const first = drawNounUse(rng, () => true);
  const second = family === "simple" ? null : drawNounUse(rng, (noun) => noun !== first.noun);
  const groups = [first.noun.group, second?.noun.group];
  const free = (verbs: readonly Verb[]): Verb =>
    pick(
      verbs.filter((verb) => !groups.includes(verb.group)),
      rng,
    );
  return {
    family,
    first,
    second,
    preposition: family === "nounpp" ? pick(PREPOSITIONS, rng) : null,
    inner: family === "rc" ? free(INNER_VERBS) : null,
    main: free(CLAUSE_VERBS),
  };
}

function drawFamily(rng: Rng): "simple" | "nounpp" | "rc" {
  const at = rng.uniform();
  if (at < FAMILY_WEIGHTS.simple) return "simple";
  return at < FAMILY_WEIGHTS.simple + FAMILY_WEIGHTS.nounpp ? "nounpp" : "rc";
}

function drawNounUse(rng: Rng, allowed: (noun: Noun) => boolean): NounUse {
  const weights = NOUNS.map((noun, index) => (allowed(noun) ? must(NOUN_WEIGHTS[index], "noun weight") : 0));
  let left = rng.uniform() * weights.reduce((sum, weight) => sum + weight, 0);
  let index = 0;
  while (index < weights.length - 1 && (left -= must(weights[index], "noun weight")) >= 0) index++;
  return { noun: must(NOUNS[index], "noun"), number: pick(NUMBERS, rng) };
}

function pick<T>(items: readonly T[], rng: Rng): T {
  return must(items[rng.int(items.length)], "item");
}
