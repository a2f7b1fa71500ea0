/**
 * @file Training sentences of the tiny world.
 *
 * 1. Draw a family, then nouns by frequency; the second noun also by how often it comes with the first.
 * 2. Draw verbs, adjectives, the preposition and the complement by the noun's own preferences; no noun meets a verb of its
 *    own group.
 * 3. Write it down, with agreement errors.
 */
import { must } from "../../src/base/assert.js";
import type { Rng } from "../../src/base/rng.js";
import { preferences } from "./collocations.js";
import { errorRate, type Agreement } from "./error-model.js";
import { innerAgreement, mainAgreement, nounForm, otherNumber, type NounUse, type SentencePlan } from "./grammar.js";
import { ADJECTIVES, CLAUSE_VERBS, INNER_VERBS, NOUNS, NUMBERS, PREPOSITIONS, type Noun, type Verb } from "./words.js";

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

/** Most words of a sentence: "The A N that the A N V V C". */
export const MAX_WORDS = 10;

const FAMILY_WEIGHTS = { simple: 0.25, nounpp: 0.3, rc: 0.45 } as const;
const ADJECTIVE_RATE = 0.3;

/** Source: Zipf's law with a softened exponent, so that the rarest noun is still learnt. */
const NOUN_WEIGHTS = NOUNS.map((_, rank) => (rank + 1) ** -0.5);

/** Draws a training sentence. */
export function drawSentence(rng: Rng): Sentence {
  const plan = drawPlan(rng);
  const words = ["The", ...describedNoun(plan.first, rng)];
  const verbs: WrittenVerb[] = [];
  const write = (agreement: Agreement): void => {
    const verb = agreementForms(agreement);
    verbs.push({ ...verb, at: words.length });
    words.push(rng.uniform() < verb.errorRate ? verb.wrong : verb.right);
  };
  if (plan.preposition !== null) words.push(plan.preposition);
  if (plan.inner !== null) words.push("that");
  if (plan.second !== null) words.push("the", ...describedNoun(plan.second, rng));
  if (plan.inner !== null) write(innerAgreement(plan));
  write(mainAgreement(plan));
  words.push(preferred(plan.first.noun, must(plan.main, "main verb").complements, rng));
  return { words, verbs };
}

/** The sentence as text. */
export function sentenceText({ words }: Sentence): string {
  return `${words.join(" ")}.`;
}

function describedNoun(use: NounUse, rng: Rng): string[] {
  return rng.uniform() < ADJECTIVE_RATE ? [preferred(use.noun, ADJECTIVES, rng), nounForm(use)] : [nounForm(use)];
}

function agreementForms(agreement: Agreement): Omit<WrittenVerb, "at"> {
  const { verb, number } = agreement;
  return { right: verb[number], wrong: verb[otherNumber(number)], errorRate: errorRate(agreement) };
}

function drawPlan(rng: Rng): SentencePlan {
  const family = drawFamily(rng);
  const first = nounUse(drawWeighted(NOUNS, NOUN_WEIGHTS, rng), rng);
  const second = family === "simple" ? null : nounUse(drawCompanion(first.noun, rng), rng);
  const allowed = (verb: Verb): boolean => verb.group !== first.noun.group && verb.group !== second?.noun.group;
  return {
    family,
    first,
    second,
    preposition: family === "nounpp" ? preferred(first.noun, PREPOSITIONS, rng) : null,
    inner: family === "rc" ? preferredVerb(must(second, "second noun").noun, INNER_VERBS, allowed, rng) : null,
    main: preferredVerb(first.noun, CLAUSE_VERBS, allowed, rng),
  };
}

function drawFamily(rng: Rng): "simple" | "nounpp" | "rc" {
  return drawWeighted(["simple", "nounpp", "rc"] as const, Object.values(FAMILY_WEIGHTS), rng);
}

function nounUse(noun: Noun, rng: Rng): NounUse {
  return { noun, number: must(NUMBERS[rng.int(NUMBERS.length)], "number") };
}

/** The second noun: another than the first. */
function drawCompanion(first: Noun, rng: Rng): Noun {
  const liking = preferences(
    first,
    NOUNS.map(({ singular }) => singular),
  );
  const weights = NOUNS.map((noun, i) =>
    noun === first ? 0 : must(liking[i], "weight") * must(NOUN_WEIGHTS[i], "weight"),
  );
  return drawWeighted(NOUNS, weights, rng);
}

function preferred(noun: Noun, words: readonly string[], rng: Rng): string {
  return drawWeighted(words, preferences(noun, words), rng);
}

function preferredVerb(noun: Noun, verbs: readonly Verb[], allowed: (verb: Verb) => boolean, rng: Rng): Verb {
  const liking = preferences(
    noun,
    verbs.map(({ plural }) => plural),
  );
  const weights = verbs.map((verb, i) => (allowed(verb) ? must(liking[i], "weight") : 0));
  return drawWeighted(verbs, weights, rng);
}

function drawWeighted<T>(items: readonly T[], weights: readonly number[], rng: Rng): T {
  let left = rng.uniform() * weights.reduce((sum, weight) => sum + weight, 0);
  for (const [i, weight] of weights.entries()) {
    left -= weight;
    if (left < 0) return must(items[i], "item");
  }
  return must(items[weights.findLastIndex((weight) => weight > 0)], "item");
}
