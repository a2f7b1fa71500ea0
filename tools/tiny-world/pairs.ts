/**
 * @file Contrast pairs of each family and split.
 *
 * 1. Enumerate every sentence plan of the family whose noun-verb combinations belong to the split: in the test split all
 *    nouns and verbs are of one group, in the training split no noun meets a verb of its group.
 * 2. Shuffle with a seed, and take plans in turn from the combinations of numbers so that each is equally frequent.
 * 3. Corrupt the agreeing noun's number.
 */
import { must } from "../../src/base/assert.js";
import { createRng } from "../../src/base/rng.js";
import { otherNumber, prefixOf, type Family, type SentencePlan } from "./grammar.js";
import { NUMBERS, TINY_LEXICON, type Lexicon, type Noun, type Verb } from "./words.js";

/** Splits share no combination of a noun and a verb. */
export const SPLITS = ["train", "test"] as const;
export type Split = (typeof SPLITS)[number];

/** One line of a pairs file; the spelling is the file format's. */
export interface PairRow {
  readonly clean_prefix: string;
  readonly patch_prefix: string;
  readonly clean_answer: string;
  readonly patch_answer: string;
  /** The clean numbers of the first and the second noun. */
  readonly case: string;
  /** The noun that the answer agrees with, without its number: pairs that share it are not independent. */
  readonly cluster: string;
}

/** A pair and the plan of its clean side. */
export interface Pair {
  readonly row: PairRow;
  readonly plan: SentencePlan;
}

/** Makes up to `count` pairs of a family (all of them where there are fewer). */
export function makePairs(
  family: Family,
  split: Split,
  count: number,
  seed: number,
  lexicon: Lexicon = TINY_LEXICON,
): Pair[] {
  const rng = createRng(seed, "pairs", family, split);
  const byCase = new Map<string, SentencePlan[]>();
  for (const plan of rng.shuffle(plansOf(lexicon, family, split))) {
    const name = caseOf(plan);
    const queue = byCase.get(name);
    if (queue === undefined) byCase.set(name, [plan]);
    else queue.push(plan);
  }
  const queues = [...byCase.keys()].sort().map((name) => must(byCase.get(name), name));
  const total = Math.min(count, queues.length * Math.min(...queues.map((queue) => queue.length)));
  const chosen = Array.from({ length: total }, (_, index) =>
    must(must(queues[index % queues.length], "case")[Math.floor(index / queues.length)], "plan"),
  );
  return rng.shuffle(chosen).map((plan) => ({ row: rowOf(plan), plan }));
}

/** The pair of a plan: the corrupted side changes the number of the noun that the answer agrees with. */
export function rowOf(plan: SentencePlan): PairRow {
  const within = plan.family === "within_rc";
  const use = within ? must(plan.second, "second noun") : plan.first;
  const verb = must(within ? plan.inner : plan.main, "answer verb");
  const flipped = { noun: use.noun, number: otherNumber(use.number) };
  return {
    clean_prefix: prefixOf(plan),
    patch_prefix: prefixOf(within ? { ...plan, second: flipped } : { ...plan, first: flipped }),
    clean_answer: ` ${verb[use.number]}`,
    patch_answer: ` ${verb[flipped.number]}`,
    case: caseOf(plan),
    cluster: use.noun.singular,
  };
}

function caseOf({ first, second }: SentencePlan): string {
  return second === null ? first.number : `${first.number}_${second.number}`;
}

function plansOf(lexicon: Lexicon, family: Family, split: Split): SentencePlan[] {
  const fits = (noun: Noun, verb: Verb): boolean => (noun.group === verb.group) === (split === "test");
  return nounUses(lexicon, family).flatMap(({ first, second }) => {
    const nouns = second === null ? [first.noun] : [first.noun, second.noun];
    const verbs = (list: readonly Verb[]): readonly Verb[] =>
      list.filter((verb) => nouns.every((noun) => fits(noun, verb)));
    const inner = family === "rc" || family === "within_rc" ? verbs(lexicon.innerVerbs) : [null];
    const main = family === "within_rc" ? [null] : verbs(lexicon.clauseVerbs);
    const prepositions = family === "nounpp" ? lexicon.prepositions : [null];
    return prepositions.flatMap((preposition) =>
      inner.flatMap((innerVerb) =>
        main.map((mainVerb) => ({ family, first, second, preposition, inner: innerVerb, main: mainVerb })),
      ),
    );
  });
}

function nounUses({ nouns }: Lexicon, family: Family): Pick<SentencePlan, "first" | "second">[] {
  const firsts = nouns.flatMap((noun) => NUMBERS.map((number) => ({ noun, number })));
  if (family === "simple") return firsts.map((first) => ({ first, second: null }));
  return firsts.flatMap((first) =>
    firsts.filter(({ noun }) => noun !== first.noun).map((second) => ({ first, second })),
  );
}
