/**
 * @file Ordinary English words for pairs that a pretrained Gemma is asked about. Each form is one token of Gemma's tokenizer
 * when a space stands before it (test/gemma3 checks it). Groups of nouns and verbs are dealt out as in the tiny world.
 */
import { nounsOf, verbsOf, type Lexicon, type NounForms } from "./words.js";

const REGULAR_NOUNS = [
  ...["teacher", "doctor", "lawyer", "farmer", "driver", "singer", "writer", "actor", "artist", "judge"],
  ...["nurse", "soldier", "pilot", "student", "professor", "engineer", "manager", "director", "author", "painter"],
  ...["dancer", "player", "king", "queen", "boy", "girl", "friend", "neighbor", "brother", "sister"],
  ...["senator", "officer", "scientist", "captain", "musician"],
];

const IRREGULAR_NOUNS: readonly NounForms[] = [
  ["man", "men", "irregular"],
  ["woman", "women", "irregular"],
  ["child", "children", "irregular"],
  ["thief", "thieves", "irregular"],
  ["secretary", "secretaries", "irregular"],
];

/** Words of the pairs in data/english-agreement. */
export const ENGLISH_LEXICON: Lexicon = {
  nouns: nounsOf([...REGULAR_NOUNS.map((noun): NounForms => [noun, `${noun}s`, "regular"]), ...IRREGULAR_NOUNS]),
  clauseVerbs: verbsOf([
    ["is", "are"],
    ["has", "have"],
    ["was", "were"],
    ["does", "do"],
    ["seems", "seem"],
    ["needs", "need"],
    ["wants", "want"],
    ["looks", "look"],
    ["goes", "go"],
    ["makes", "make"],
  ]),
  innerVerbs: verbsOf([
    ["likes", "like"],
    ["sees", "see"],
    ["knows", "know"],
    ["helps", "help"],
    ["loves", "love"],
    ["hates", "hate"],
    ["hears", "hear"],
    ["follows", "follow"],
    ["admires", "admire"],
    ["meets", "meet"],
    ["trusts", "trust"],
    ["calls", "call"],
    ["visits", "visit"],
    ["finds", "find"],
    ["blames", "blame"],
    ["fears", "fear"],
    ["protects", "protect"],
    ["supports", "support"],
    ["avoids", "avoid"],
    ["remembers", "remember"],
  ]),
  prepositions: ["with", "near", "behind", "beside", "by"],
};
