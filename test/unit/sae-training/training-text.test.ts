/** @file Text to sequences: what is read, how it is cut, and that nothing is both trained on and held out. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Tokenizer } from "../../../src/prompts/tokenizer.js";
import {
  CONTEXT,
  cutPieces,
  fingerprintText,
  readDocuments,
  tokenizeText,
} from "../../../src/sae-training/training-text.js";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "patchbay-text-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});
const write = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

/** One token for each word: its number, after `w`. */
const words: Pick<Tokenizer, "start" | "encode"> = {
  start: [-1],
  encode: (text) => [-1, ...text.split(/\s+/).map((word) => Number(word.slice(1)))],
};
const document = (from: number, count: number): string =>
  Array.from({ length: count }, (_, i) => `w${String(from + i)}`).join(" ");
const tokenize = (documents: readonly string[], tokens: number, seed = 0): ReturnType<typeof tokenizeText> =>
  tokenizeText(documents, words as Tokenizer, tokens, seed);

describe("documents", () => {
  it("are whole .txt files and lines of .jsonl files, in name order", () => {
    write("b.txt", "two\nlines");
    write("a.jsonl", '{"text": "one"}\n\n{"text": "another", "more": 1}\n');
    write("ignored.md", "no");
    expect(readDocuments(folder)).toEqual(["one", "another", "two\nlines"]);
    expect(readDocuments(join(folder, "b.txt"))).toEqual(["two\nlines"]);
  });

  it.each([
    ["a file of another kind", "x.md", "text", /expected a \.txt or \.jsonl file.*another file/],
    ["a line without text", "x.jsonl", '{"text": "a"}\n{"txt": "b"}\n', /x\.jsonl:2: text/],
    ["a line that is not JSON", "x.jsonl", "nothing\n", /x\.jsonl:1: not valid JSON/],
  ])("are refused: %s", (_what, name, text, message) => {
    const path = write(name, text);
    expect(() => readDocuments(path)).toThrow(message);
  });

  it("are refused where there are none", () => {
    expect(() => readDocuments(join(folder, "absent"))).toThrow(/no such file or folder/);
    mkdirSync(join(folder, "empty"));
    expect(() => readDocuments(join(folder, "empty"))).toThrow(/got none in it/);
  });

  it("have a fingerprint that tells where one ends", () => {
    expect(fingerprintText(["ab", "c"])).not.toBe(fingerprintText(["a", "bc"]));
    expect(fingerprintText(["ab", "c"])).toBe(fingerprintText(["ab", "c"]));
  });
});

describe("pieces", () => {
  it("hold every word once and in order, and end at white space", () => {
    const text = document(0, 5000);
    const pieces = cutPieces([text]);
    expect(pieces.join(" ")).toBe(text);
    expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThanOrEqual(2000);
  });

  it("keep a word that is longer than a piece whole, and count equal pieces once", () => {
    const long = "x".repeat(4500);
    expect(cutPieces([`a ${long} b`])).toEqual(["a", long, "b"]);
    expect(cutPieces(["same", "same", " same\n", ""])).toEqual(["same"]);
  });
});

describe("sequences", () => {
  const documents = Array.from({ length: 100 }, (_, i) => document(1000 * i, 300));

  it("start with BOS, have at most CONTEXT tokens, and hold each token of the text once", () => {
    const { training, heldOut, trainingTokens, heldOutTokens } = tokenize(documents, 1e9);
    const all = [...training, ...heldOut];
    expect(all.every((sequence) => sequence[0] === -1 && sequence.length > 1 && sequence.length <= CONTEXT)).toBe(true);
    const tokens = all.flatMap((sequence) => sequence.slice(1));
    expect(new Set(tokens).size).toBe(30_000);
    expect([tokens.length, trainingTokens + heldOutTokens]).toEqual([30_000, 30_000]);
  });

  it("of a family without BOS hold each token once as well", () => {
    const bare = { start: [], encode: (text: string) => words.encode(text).slice(1) } as unknown as Tokenizer;
    const { training, heldOut } = tokenizeText(documents, bare, 1e9, 0);
    const tokens = [...training, ...heldOut].flat();
    expect(Math.max(...training.map(({ length }) => length))).toBe(CONTEXT);
    expect([tokens.length, new Set(tokens).size]).toEqual([30_000, 30_000]);
  });

  it("hold out about a tenth", () => {
    expect(tokenize(documents, 1e9).heldOutTokens).toBeGreaterThan(1500);
    expect(tokenize(documents, 1e9).heldOutTokens).toBeLessThan(4500);
  });

  it("stop once there are as many tokens as asked for", () => {
    const { trainingTokens } = tokenize(documents, 5000);
    expect(trainingTokens).toBeGreaterThanOrEqual(5000);
    expect(trainingTokens).toBeLessThan(5700);
  });

  it("depend on the seed alone", () => {
    expect(tokenize(documents, 5000)).toEqual(tokenize(documents, 5000));
    expect(tokenize(documents, 5000, 1)).not.toEqual(tokenize(documents, 5000));
  });

  it("are refused where all text would be held out", () => {
    expect(() => tokenize(["w1 w2"], 10)).toThrow(/--text: expected text of more than/);
  });
});
