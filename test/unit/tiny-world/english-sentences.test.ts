/** @file Agreement sentences for SAE training. */
import { describe, expect, it } from "vitest";
import { createRng } from "../../../src/base/rng.js";
import { drawEnglishSentence } from "../../../tools/tiny-world/english-sentences.js";
import { ENGLISH_LEXICON } from "../../../tools/tiny-world/english-words.js";

const draw = (count: number): string[] => {
  const rng = createRng(3, "sentences");
  return Array.from({ length: count }, () => drawEnglishSentence(rng));
};

describe("English agreement sentences", () => {
  it("repeat with the seed and come in every family", () => {
    expect(draw(50)).toEqual(draw(50));
    const lengths = new Set(draw(200).map((sentence) => sentence.split(" ").length));
    expect([...lengths].sort()).toEqual([3, 6, 7]);
  });

  it("agree: the last verb with the first noun, or inside a relative clause with the second", () => {
    const numberOf = new Map<string, string>();
    for (const { singular, plural } of [
      ...ENGLISH_LEXICON.nouns,
      ...ENGLISH_LEXICON.clauseVerbs,
      ...ENGLISH_LEXICON.innerVerbs,
    ])
      numberOf.set(singular, "singular").set(plural, "plural");
    const inner = new Set(ENGLISH_LEXICON.innerVerbs.flatMap(({ singular, plural }) => [singular, plural]));
    for (const sentence of draw(300)) {
      const words = sentence.split(" ");
      const nouns = words.filter((_, i) => /^the$/i.test(words[i - 1] ?? ""));
      const last = words.at(-1) ?? "";
      const subject = inner.has(last) ? nouns[1] : nouns[0];
      expect(numberOf.get(last), sentence).toBe(numberOf.get(subject ?? ""));
      expect(numberOf.get(last), sentence).toBeDefined();
    }
  });
});
