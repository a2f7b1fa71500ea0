/** @file The tiny world's words. Order matters: a noun's place in the list is its frequency rank. */
import { must } from "../../src/base/assert.js";

/** The two grammatical numbers. */
export const NUMBERS = ["singular", "plural"] as const;
export type GrammaticalNumber = (typeof NUMBERS)[number];

/** How the plural is formed, or that the singular names a group (which writers often treat as a plural). */
export type NounClass = "regular" | "irregular" | "collective";

/** A noun with both of its forms. */
export interface Noun {
  readonly singular: string;
  readonly plural: string;
  readonly kind: NounClass;
  /** 0 for the most frequent noun, rising to 1 for the rarest. */
  readonly rarity: number;
  /** Which of the {@link HELD_OUT_GROUPS} the noun belongs to. */
  readonly group: number;
}

/** A verb with both of its forms and the words that may follow it. */
export interface Verb {
  readonly singular: string;
  readonly plural: string;
  /** Words after the verb, one of which continues the sentence; empty where the sentence ends with the verb. */
  readonly complements: readonly string[];
  /** -1 for the verb whose agreement writers get right most often, rising to 1. */
  readonly difficulty: number;
  readonly group: number;
}

/** Nouns and verbs of one group never meet in a training sentence; all words of a test pair are of one group. */
export const HELD_OUT_GROUPS = 5;

/** A noun's forms and class. */
export type NounForms = readonly [singular: string, plural: string, kind: NounClass];
/** A verb's forms, and the words that may follow it. */
export type VerbForms = readonly [singular: string, plural: string, complements?: readonly string[]];

const NOUN_FORMS: readonly NounForms[] = [
  ["man", "men", "irregular"],
  ["dog", "dogs", "regular"],
  ["team", "teams", "collective"],
  ["boy", "boys", "regular"],
  ["king", "kings", "regular"],
  ["woman", "women", "irregular"],
  ["cat", "cats", "regular"],
  ["teacher", "teachers", "regular"],
  ["family", "families", "collective"],
  ["girl", "girls", "regular"],
  ["child", "children", "irregular"],
  ["doctor", "doctors", "regular"],
  ["bird", "birds", "regular"],
  ["farmer", "farmers", "regular"],
  ["crew", "crews", "collective"],
  ["queen", "queens", "regular"],
  ["horse", "horses", "regular"],
  ["mouse", "mice", "irregular"],
  ["cow", "cows", "regular"],
  ["painter", "painters", "regular"],
  ["band", "bands", "collective"],
  ["lawyer", "lawyers", "regular"],
  ["wolf", "wolves", "irregular"],
  ["guard", "guards", "regular"],
  ["sailor", "sailors", "regular"],
  ["pilot", "pilots", "regular"],
  ["club", "clubs", "collective"],
  ["thief", "thieves", "irregular"],
  ["goose", "geese", "irregular"],
  ["baker", "bakers", "regular"],
];

/** Adjectives: before a noun, or after "is". */
export const ADJECTIVES: readonly string[] = ["old", "young", "happy", "tired", "hungry", "quiet"];
const ADVERBS = ["here", "often", "well", "today"];

/** Verbs that end a clause: the answers of the families simple, nounpp and rc. */
const CLAUSE_VERB_FORMS: readonly VerbForms[] = [
  ["is", "are", ADJECTIVES],
  ["has", "have", ["food", "money", "time"]],
  ["was", "were", ADJECTIVES],
  ["sleeps", "sleep", ADVERBS],
  ["runs", "run", ADVERBS],
  ["works", "work", ADVERBS],
  ["sings", "sing", ADVERBS],
  ["smiles", "smile", ADVERBS],
  ["swims", "swim", ADVERBS],
  ["laughs", "laugh", ADVERBS],
];

/** Verbs inside a relative clause: the answers of the family within_rc. */
const INNER_VERB_FORMS: readonly VerbForms[] = [
  ["likes", "like"],
  ["sees", "see"],
  ["knows", "know"],
  ["helps", "help"],
  ["loves", "love"],
  ["hates", "hate"],
  ["hears", "hear"],
  ["follows", "follow"],
  ["admires", "admire"],
  ["chases", "chase"],
];

/** Prepositions of the family nounpp. "with" often makes a singular subject read as a plural. */
export const PREPOSITIONS = ["with", "near", "behind", "beside", "by"] as const;

const atMost = (index: number, count: number): number => index / (count - 1);

/** Nouns from their forms, most frequent first; groups are dealt out within each class so that every group has all kinds. */
export function nounsOf(forms: readonly NounForms[]): Noun[] {
  return forms.map(([singular, plural, kind], index) => ({
    singular,
    plural,
    kind,
    rarity: atMost(index, forms.length),
    group: groupWithinClass(forms, index),
  }));
}

/** Verbs from their forms, the one whose agreement writers get right most often first. */
export function verbsOf(forms: readonly VerbForms[]): Verb[] {
  return forms.map(([singular, plural, complements = []], index) => ({
    singular,
    plural,
    complements,
    difficulty: 2 * atMost(index, forms.length) - 1,
    group: index % HELD_OUT_GROUPS,
  }));
}

/** All nouns. */
export const NOUNS: readonly Noun[] = nounsOf(NOUN_FORMS);

/** Verbs that end a clause. */
export const CLAUSE_VERBS: readonly Verb[] = verbsOf(CLAUSE_VERB_FORMS);

/** Verbs inside a relative clause. */
export const INNER_VERBS: readonly Verb[] = verbsOf(INNER_VERB_FORMS);

/** The words that pairs are made of. */
export interface Lexicon {
  readonly nouns: readonly Noun[];
  /** The answers of the families simple, nounpp and rc. */
  readonly clauseVerbs: readonly Verb[];
  /** Verbs of relative clauses: the answers of within_rc. */
  readonly innerVerbs: readonly Verb[];
  readonly prepositions: readonly string[];
}

/** The tiny world's. */
export const TINY_LEXICON: Lexicon = {
  nouns: NOUNS,
  clauseVerbs: CLAUSE_VERBS,
  innerVerbs: INNER_VERBS,
  prepositions: PREPOSITIONS,
};

/** Every word of the world as it stands inside a sentence (so with a space before it), then the sentence's first word. */
export function vocabularyWords(): { readonly inner: string[]; readonly first: string[] } {
  const verbs = [...CLAUSE_VERBS, ...INNER_VERBS];
  const inner = [
    ...NOUNS.flatMap(({ singular, plural }) => [singular, plural]),
    ...verbs.flatMap(({ singular, plural, complements }) => [singular, plural, ...complements]),
    ...PREPOSITIONS,
    "the",
    "that",
  ];
  return { inner: [...new Set(inner)], first: ["The"] };
}

/** The group of noun `index`: 0, 1, 2, ... among the nouns of its class, starting where the class before ended. */
function groupWithinClass(forms: readonly NounForms[], index: number): number {
  const order = (["regular", "irregular", "collective"] as const).flatMap((kind) =>
    forms.flatMap((form, at) => (form[2] === kind ? [at] : [])),
  );
  const place = order.indexOf(index);
  must(order[place], `noun ${index}`);
  return place % HELD_OUT_GROUPS;
}
