/** @file The tiny world's language: agreement in pairs and sentences, what the splits share, tokens. */
import { describe, expect, it } from "vitest";
import { createRng } from "../../../src/base/rng.js";
import { errorLogOdds, errorRate } from "../../../tools/tiny-world/error-model.js";
import { FAMILIES } from "../../../tools/tiny-world/grammar.js";
import { makePairs, SPLITS, type Pair } from "../../../tools/tiny-world/pairs.js";
import { drawSentence, MAX_WORDS, sentenceText } from "../../../tools/tiny-world/sentences.js";
import { CLAUSE_VERBS, INNER_VERBS, NOUNS } from "../../../tools/tiny-world/words.js";

const VERBS = [...CLAUSE_VERBS, ...INNER_VERBS];

/** Every noun of a text with every verb of it, as `plural noun / plural verb`: combinations in whatever role. */
function combinations(words: readonly string[]): string[] {
  const nouns = NOUNS.filter(({ singular, plural }) => words.includes(singular) || words.includes(plural));
  const verbs = VERBS.filter(({ singular, plural }) => words.includes(singular) || words.includes(plural));
  return nouns.flatMap((noun) => verbs.map((verb) => `${noun.plural} / ${verb.plural}`));
}

const pairWords = ({ row }: Pair): string[] =>
  [row.clean_prefix, row.patch_prefix, row.clean_answer, row.patch_answer].flatMap((text) => text.trim().split(" "));

describe("pairs", () => {
  it.each(FAMILIES)("%s: the corrupted side differs in the number of the agreeing noun alone", (family) => {
    for (const { row } of makePairs(family, "test", 200, 0)) {
      const [clean, patch] = [row.clean_prefix.split(" "), row.patch_prefix.split(" ")];
      const changed = clean.flatMap((word, i) => (word === patch[i] ? [] : [i]));
      expect(changed).toEqual([family === "within_rc" ? 4 : 1]);
      const from = clean[changed[0] ?? 0];
      const noun = NOUNS.find(({ singular, plural }) => from === singular || from === plural);
      expect([noun?.singular, noun?.plural]).toContain(patch[changed[0] ?? 0]);
      expect(row.cluster).toBe(noun?.singular);
      const number = from === noun?.singular ? "singular" : "plural";
      const verb = VERBS.find((candidate) => ` ${candidate[number]}` === row.clean_answer);
      expect(row.patch_answer).toBe(` ${verb?.[number === "singular" ? "plural" : "singular"] ?? ""}`);
    }
  });

  it.each([
    ["simple", /^The \w+$/],
    ["nounpp", /^The \w+ (with|near|behind|beside|by) the \w+$/],
    ["rc", /^The \w+ that the \w+ \w+$/],
    ["within_rc", /^The \w+ that the \w+$/],
  ] as const)("%s follows its template", (family, template) => {
    for (const { row } of makePairs(family, "train", 100, 0)) {
      expect(row.clean_prefix).toMatch(template);
      expect(row.patch_prefix).toMatch(template);
    }
  });

  it.each(FAMILIES)("%s: every case is equally frequent and no pair comes twice", (family) => {
    const rows = makePairs(family, "test", 300, 0).map(({ row }) => row);
    const counts = new Map<string, number>();
    for (const row of rows) counts.set(row.case, (counts.get(row.case) ?? 0) + 1);
    expect(counts.size).toBe(family === "simple" ? 2 : 4);
    expect(new Set(counts.values()).size).toBe(1);
    expect(new Set(rows.map((row) => JSON.stringify(row))).size).toBe(rows.length);
  });

  it("depend on the seed alone", () => {
    const rows = (seed: number): string => JSON.stringify(makePairs("rc", "test", 50, seed).map(({ row }) => row));
    expect(rows(3)).toBe(rows(3));
    expect(rows(3)).not.toBe(rows(4));
  });

  it("share no combination of a noun and a verb between the splits, and none of the test split's is ever written", () => {
    const [train, test] = SPLITS.map((split) => {
      const pairs = FAMILIES.flatMap((family) => makePairs(family, split, 400, 0));
      return new Set(pairs.flatMap((pair) => combinations(pairWords(pair))));
    });
    const rng = createRng(5, "sentences");
    const written = new Set(Array.from({ length: 5000 }, () => combinations(drawSentence(rng).words)).flat());
    expect(test?.size).toBe((NOUNS.length * VERBS.length) / 5);
    expect(
      [...(test ?? [])].filter((combination) => train?.has(combination) === true || written.has(combination)),
    ).toEqual([]);
  });
});

describe("sentences", () => {
  it("get verbs wrong as often as the error rates say", () => {
    const rng = createRng(1, "rates");
    const verbs = Array.from({ length: 20_000 }, () => drawSentence(rng)).flatMap(({ words, verbs: written }) =>
      written.map((verb) => ({ wrong: words[verb.at] === verb.wrong ? 1 : 0, errorRate: verb.errorRate })),
    );
    const expected = verbs.reduce((sum, verb) => sum + verb.errorRate, 0);
    const sd = Math.sqrt(verbs.reduce((sum, verb) => sum + verb.errorRate * (1 - verb.errorRate), 0));
    expect(Math.abs(verbs.reduce((sum, verb) => sum + verb.wrong, 0) - expected)).toBeLessThan(4 * sd);
  });

  it("start with The, end with a full stop and fit the longest sequence", () => {
    const rng = createRng(2, "form");
    for (let i = 0; i < 500; i++) {
      const sentence = drawSentence(rng);
      expect(sentenceText(sentence)).toMatch(/^The [a-z ]+\.$/);
      expect(sentence.words.length).toBeLessThanOrEqual(MAX_WORDS);
    }
  });
});

describe("agreement errors", () => {
  const [noun, other] = [NOUNS[1], NOUNS[3]];
  const verb = CLAUSE_VERBS[0];
  if (noun === undefined || other === undefined || verb === undefined) throw new Error("words are missing");
  const odds = (number: "singular" | "plural", attractor: "singular" | "plural" | null): number =>
    errorLogOdds({
      subject: noun,
      number,
      verb,
      attractor: attractor === null ? null : { noun: other, number: attractor, place: "phrase" },
      preposition: "near",
    });

  it("are most frequent with a plural attractor of a singular subject, then with the reverse", () => {
    expect(odds("singular", "plural")).toBeGreaterThan(odds("plural", "singular"));
    expect(odds("plural", "singular")).toBeGreaterThan(odds("plural", null));
    expect(odds("plural", "plural")).toBeLessThan(odds("plural", null));
  });

  it("never make the wrong form the more frequent one", () => {
    for (const family of FAMILIES)
      for (const { plan } of makePairs(family, "test", 300, 0)) {
        if (plan.main === null) continue;
        const attractor = plan.second === null ? null : ({ ...plan.second, place: "phrase" } as const);
        const agreement = { subject: plan.first.noun, number: plan.first.number, verb: plan.main, attractor };
        expect(errorRate({ ...agreement, preposition: "with" })).toBeLessThan(0.3);
      }
  });
});
