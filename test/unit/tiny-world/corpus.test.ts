/** @file What training predicts: next tokens, exact shares at verbs, nothing about combinations the split keeps apart. */
import { describe, expect, it } from "vitest";
import { createRng } from "../../../src/base/rng.js";
import { corpusTokens, drawBatch, sentenceIds, SENTENCE_TOKENS } from "../../../tools/tiny-world/corpus.js";
import { drawSentence } from "../../../tools/tiny-world/sentences.js";
import { buildBpe, TOKEN_IDS, wordId } from "../../../tools/tiny-world/tokenizer-files.js";
import { CLAUSE_VERBS, INNER_VERBS, NOUNS } from "../../../tools/tiny-world/words.js";

const BATCH = 100;
const bpe = buildBpe();
const V = bpe.vocabulary.size;
const batch = drawBatch(corpusTokens(bpe), BATCH, createRng(3, "corpus test"));
const rng = createRng(3, "corpus test");
const sentences = Array.from({ length: BATCH }, () => drawSentence(rng));
const row = (values: Float32Array, b: number, t: number): Float32Array =>
  values.subarray((b * SENTENCE_TOKENS + t) * V, (b * SENTENCE_TOKENS + t + 1) * V);

describe("a batch of sentences", () => {
  it("has BOS, words, full stop, EOS, then padding", () => {
    for (const [b, sentence] of sentences.entries()) {
      const ids = [...batch.ids.subarray(b * SENTENCE_TOKENS, (b + 1) * SENTENCE_TOKENS)];
      const expected = sentenceIds(bpe, sentence);
      const padding = Array.from({ length: SENTENCE_TOKENS - expected.length }, () => TOKEN_IDS.pad);
      expect(ids).toEqual([...expected, ...padding]);
      expect(expected.length).toBe(sentence.words.length + 3);
    }
  });

  it("predicts every token behind BOS up to EOS once, and nothing from EOS on", () => {
    expect(batch.predictions).toBe(sentences.reduce((sum, sentence) => sum + sentenceIds(bpe, sentence).length - 1, 0));
    for (const [b, sentence] of sentences.entries()) {
      const length = sentenceIds(bpe, sentence).length;
      for (let t = 0; t < SENTENCE_TOKENS; t++) {
        const total = row(batch.targets, b, t).reduce((sum, share) => sum + share, 0);
        expect(total).toBeCloseTo(t + 1 < length ? 1 : 0, 6);
      }
    }
  });

  it("shares a verb's prediction between its forms by the error rate", () => {
    for (const [b, { verbs }] of sentences.entries())
      for (const { at, right, wrong, errorRate } of verbs) {
        const shares = row(batch.targets, b, at);
        expect(shares[wordId(bpe, right)]).toBeCloseTo(1 - errorRate, 6);
        expect(shares[wordId(bpe, wrong)]).toBeCloseTo(errorRate, 6);
      }
  });

  it("leaves out exactly the verbs of the groups of the nouns so far, and never a target", () => {
    for (const [b, { words }] of sentences.entries())
      for (let t = 0; t <= words.length; t++) {
        const groups = NOUNS.filter(({ singular, plural }) =>
          words.slice(0, t).some((word) => word === singular || word === plural),
        ).map(({ group }) => group);
        const kept = [...CLAUSE_VERBS, ...INNER_VERBS].filter(({ group }) => groups.includes(group));
        const expected = kept.flatMap(({ singular, plural }) => [wordId(bpe, singular), wordId(bpe, plural)]);
        const penalised = [...row(batch.penalties, b, t).entries()].filter(([, penalty]) => penalty > 0);
        expect(penalised.map(([id]) => id)).toEqual(expected.sort((x, y) => x - y));
        for (const id of expected) expect(row(batch.targets, b, t)[id]).toBe(0);
      }
  });
});
