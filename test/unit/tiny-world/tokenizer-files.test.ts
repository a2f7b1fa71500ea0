/** @file The tiny world's tokenizer, read back through the library that real checkpoints go through. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createRng } from "../../../src/base/rng.js";
import { GEMMA2 } from "../../../src/families/gemma2.js";
import { openTokenizer, type Tokenizer } from "../../../src/prompts/tokenizer.js";
import { applyMerge, learnMerges } from "../../../tools/tiny-world/bpe.js";
import { sentenceIds } from "../../../tools/tiny-world/corpus.js";
import { drawSentence, sentenceText } from "../../../tools/tiny-world/sentences.js";
import { buildBpe, TOKEN_IDS, tokenizerFiles, wordId } from "../../../tools/tiny-world/tokenizer-files.js";
import { vocabularyWords } from "../../../tools/tiny-world/words.js";

describe("merges", () => {
  it("are learnt most frequent first, and make each word one symbol", () => {
    const words = ["low", "lowest", "newest", "widest"];
    const merges = learnMerges(words);
    expect(merges[0]).toEqual(["e", "s"]);
    for (const word of words)
      expect(merges.reduce<string[]>((symbols, merge) => applyMerge(symbols, merge), Array.from(word))).toEqual([word]);
  });
});

describe("tokenizer files", () => {
  const bpe = buildBpe();
  const folder = mkdtempSync(join(tmpdir(), "patchbay-tokenizer-"));
  let tokenizer: Tokenizer;
  beforeAll(() => {
    for (const [name, text] of tokenizerFiles(bpe)) writeFileSync(join(folder, name), text);
    tokenizer = openTokenizer(folder, GEMMA2.bos);
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  it("make each word of the world one token", () => {
    for (const word of vocabularyWords().inner)
      expect(tokenizer.encode(` ${word}`)).toEqual([TOKEN_IDS.bos, wordId(bpe, word)]);
    expect(tokenizer.encode("The")).toEqual([TOKEN_IDS.bos, wordId(bpe, "The")]);
  });

  it("give training sentences the ids that training used", () => {
    const rng = createRng(0, "tokenizer test");
    for (let i = 0; i < 200; i++) {
      const sentence = drawSentence(rng);
      expect([...tokenizer.encode(sentenceText(sentence)), TOKEN_IDS.eos]).toEqual(sentenceIds(bpe, sentence));
    }
  });

  it("fall back to bytes for what the vocabulary lacks", () => {
    const ids = tokenizer.encode("é").slice(1);
    expect(ids).toEqual([bpe.vocabulary.get("<0xC3>"), bpe.vocabulary.get("<0xA9>")]);
  });

  it("have Gemma's chat turns", () => {
    const { text, ids } = tokenizer.chat([{ role: "user", content: "The dog sleeps." }], true);
    expect(text).toBe("<bos><start_of_turn>user\nThe dog sleeps.<end_of_turn>\n<start_of_turn>model\n");
    expect(ids.filter((id) => id === TOKEN_IDS.bos)).toHaveLength(1);
    expect(ids.slice(1, 4)).toEqual(["<start_of_turn>", "user", "\n"].map((token) => bpe.vocabulary.get(token)));
  });
});
