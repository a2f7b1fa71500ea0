/** @file Merges from a SentencePiece vocabulary, against SentencePiece's own rule. */
import fc from "fast-check";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { must } from "../../../src/base/assert.js";
import { sentencePieceJson } from "../../../src/weights/sentencepiece-json.js";
import { GEMMA2 } from "../../../src/families/gemma2.js";
import { openTokenizer } from "../../../src/prompts/tokenizer.js";
import { bpeOfSentencePieces, PIECE } from "../../../src/weights/sentencepiece-bpe.js";
import { temporaryFolder } from "./temporary-folder.js";

const SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>"];

/** Joins, again and again, the neighbours whose joint piece scores highest (the leftmost of them). */
function joined(text: string, scores: ReadonlyMap<string, number>): string[] {
  const symbols = Array.from(text.replaceAll(" ", "▁"));
  for (;;) {
    let best = -1;
    let score = -Infinity;
    for (let i = 0; i + 1 < symbols.length; i++) {
      const of = scores.get(`${must(symbols[i], "symbol")}${must(symbols[i + 1], "symbol")}`);
      if (of !== undefined && of > score) [best, score] = [i, of];
    }
    if (best < 0) return symbols;
    symbols.splice(best, 2, symbols.slice(best, best + 2).join(""));
  }
}

const letters = ["a", "b", "c", "▁", "é", "😀"];
const word = fc.array(fc.constantFrom(...letters), { minLength: 2, maxLength: 5 }).map((parts) => parts.join(""));

test("texts are cut as SentencePiece cuts them", () => {
  const folder = temporaryFolder();
  fc.assert(
    fc.property(
      fc.uniqueArray(word, { minLength: 1, maxLength: 25 }),
      fc.array(fc.constantFrom("a", "b", "c", " ", "é", "😀"), { maxLength: 14 }).map((parts) => parts.join("")),
      (words, text) => {
        const pieces = [...SPECIAL, ...words, ...letters];
        const scores = pieces.map((_, id) => (id < SPECIAL.length ? 0 : SPECIAL.length - id));
        const kinds = pieces.map((_, id) => (id < SPECIAL.length ? PIECE.control : PIECE.normal));
        const bpe = bpeOfSentencePieces({ pieces, scores, kinds, bosId: 2 });
        writeFileSync(
          join(folder, "tokenizer.json"),
          JSON.stringify(sentencePieceJson(bpe, { bos: "<bos>", unk: "<unk>" })),
        );
        const expected = joined(
          text,
          new Map(words.map((piece) => [piece, must(scores[pieces.indexOf(piece)], "score")])),
        );
        const ids = openTokenizer(folder, GEMMA2.bos).encode(text).slice(1);
        expect(ids.map((id) => pieces[id])).toEqual(expected);
      },
    ),
    { numRuns: 200 },
  );
});

test("control, unknown and byte pieces are never made by merging, and user-defined ones come first", () => {
  const pieces = ["<bos>", "<0x0A>", "<", "0", "x", "A", ">", "<0", "\n\n", "\n", "x0", "0x"];
  const kinds = [3, 6, 1, 1, 1, 1, 1, 1, 4, 1, 1, 1];
  const bpe = bpeOfSentencePieces({ pieces, scores: pieces.map((_, id) => -id), kinds, bosId: 0 });
  expect(bpe.merges).toEqual([
    ["\n", "\n"],
    ["<", "0"],
    ["x", "0"],
    ["0", "x"],
  ]);
  expect(bpe.added).toEqual([
    { id: 0, content: "<bos>", special: true },
    { id: 8, content: "\n\n", special: false },
  ]);
});
