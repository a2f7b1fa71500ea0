/** @file Agreement sentences of ordinary English, as text to train SAEs on: the prompts of data/english-agreement are of this kind. */
import { must } from "../../src/base/assert.js";
import type { Rng } from "../../src/base/rng.js";
import { ENGLISH_LEXICON } from "./english-words.js";
import { FAMILIES, innerAgreement, mainAgreement, prefixOf, type Family, type SentencePlan } from "./grammar.js";
import { NUMBERS, type Noun } from "./words.js";

const { nouns, clauseVerbs, innerVerbs, prepositions } = ENGLISH_LEXICON;

/** Up to the verb that agrees: "The teachers near the senator are". */
export function drawEnglishSentence(rng: Rng): string {
  const plan = drawPlan(pick(FAMILIES, rng), rng);
  const { verb, number } = plan.main === null ? innerAgreement(plan) : mainAgreement(plan);
  return `${prefixOf(plan)} ${verb[number]}`;
}

function drawPlan(family: Family, rng: Rng): SentencePlan {
  const first = { noun: pick(nouns, rng), number: pick(NUMBERS, rng) };
  const another = (): Noun =>
    pick(
      nouns.filter((noun) => noun !== first.noun),
      rng,
    );
  return {
    family,
    first,
    second: family === "simple" ? null : { noun: another(), number: pick(NUMBERS, rng) },
    preposition: family === "nounpp" ? pick(prepositions, rng) : null,
    inner: family === "rc" || family === "within_rc" ? pick(innerVerbs, rng) : null,
    main: family === "within_rc" ? null : pick(clauseVerbs, rng),
  };
}

function pick<T>(items: readonly T[], rng: Rng): T {
  return must(items[rng.int(items.length)], "item");
}
