/**
 * @file How often a writer of the tiny world gets agreement wrong: the source of the metric's spread.
 *
 * A model that is calibrated on such text has `logit[incorrect] - logit[correct] = ln(p / (1 - p))`, p the error rate
 * in that context, so the metric varies with the words. The effects follow what is known of people: a plural attractor
 * misleads more than a singular one (Bock and Miller 1991), less from inside a clause than from a prepositional phrase
 * (Bock and Cutting 1992), and group nouns are taken for plurals.
 */
import type { GrammaticalNumber, Noun, Verb } from "./words.js";

/** The other noun of the sentence that stands near the verb. */
export interface Attractor {
  readonly noun: Noun;
  readonly number: GrammaticalNumber;
  /** `phrase`: in a prepositional phrase; `clause`: in the subject's relative clause; `head`: the noun that a clause modifies. */
  readonly place: "phrase" | "clause" | "head";
}

/** A verb in its context. */
export interface Agreement {
  readonly subject: Noun;
  readonly number: GrammaticalNumber;
  readonly verb: Verb;
  readonly attractor: Attractor | null;
  readonly preposition: string | null;
}

/** Log-odds of an error, additive; the ceiling keeps the right form the more frequent one everywhere. */
const BASE = -4.4;
const CEILING = -0.9;
const COLLECTIVE_SINGULAR = 2.2;
const IRREGULAR_PLURAL = 0.8;
const RAREST_NOUN = 2;
const HARDEST_VERB = 1.2;
const WITH_AND_SINGULAR = 0.7;
const CONGRUENT = -0.3;
const INCONGRUENT = { plural: 2.2, singular: 1.2 } as const;
const PLACE_FACTOR = { phrase: 1, clause: 0.9, head: 0.8 } as const;

/** Log-odds that the verb has the wrong number. */
export function errorLogOdds({ subject, number, verb, attractor, preposition }: Agreement): number {
  const logOdds =
    BASE +
    (subject.kind === "collective" && number === "singular" ? COLLECTIVE_SINGULAR : 0) +
    (subject.kind === "irregular" && number === "plural" ? IRREGULAR_PLURAL : 0) +
    RAREST_NOUN * subject.rarity +
    HARDEST_VERB * verb.difficulty +
    (preposition === "with" && number === "singular" ? WITH_AND_SINGULAR : 0) +
    (attractor === null ? 0 : attraction(attractor, number));
  return Math.min(logOdds, CEILING);
}

/** Probability that the verb has the wrong number. */
export function errorRate(agreement: Agreement): number {
  return 1 / (1 + Math.exp(-errorLogOdds(agreement)));
}

function attraction(attractor: Attractor, number: GrammaticalNumber): number {
  const pull = attractor.number === number ? CONGRUENT : INCONGRUENT[attractor.number];
  return PLACE_FACTOR[attractor.place] * pull;
}
