/** @file Spans of rows: what is read of them, the tokens that they are, and every fault with its place. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { PatchbayError } from "../../../src/base/errors.js";
import { GEMMA2 } from "../../../src/families/gemma2.js";
import type { PromptSpan } from "../../../src/nodes/span.js";
import { toPrompts } from "../../../src/prompts/prompts.js";
import { positionNames } from "../../../src/prompts/row-spans.js";
import { readDataset } from "../../../src/prompts/rows.js";
import { tokenTexts } from "../../../src/prompts/span-tokens.js";
import { openTokenizer } from "../../../src/prompts/tokenizer.js";
import { temporaryFolder } from "../weights/temporary-folder.js";

const tokenizer = openTokenizer("test/fixtures/tiny-a/model", GEMMA2.bos);
const ROW = {
  clean_prefix: "The old cats near the dog",
  patch_prefix: "The cat near the dog",
  clean_answer: " are",
  patch_answer: " is",
};
/** `old cats` and `cat`, then `near`. */
const SPANS = { subject: { clean: [4, 12], patch: [4, 7] }, link: { clean: [13, 17], patch: [8, 12] } };

function fileOf(...rows: object[]): string {
  const path = join(temporaryFolder(), "rows.jsonl");
  writeFileSync(path, rows.map((row) => JSON.stringify(row)).join("\n"));
  return path;
}

const placed = (row: object): readonly PromptSpan[] | undefined =>
  toPrompts(readDataset(fileOf(row)), tokenizer).prompts[0]?.spans;

function faultsOf(...rows: object[]): string[] {
  try {
    toPrompts(readDataset(fileOf(...rows)), tokenizer);
  } catch (thrown) {
    if (thrown instanceof PatchbayError) return [thrown, ...thrown.others].map(({ message }) => message);
    throw thrown;
  }
  return [];
}

describe("spans of a row", () => {
  test("are the tokens that they overlap, and the last token is the answer's, whose lengths need not be equal", () => {
    // BOS, The, old, cats, near, the, dog.
    expect(placed({ ...ROW, spans: SPANS })).toEqual([
      { clean: [2, 4], corrupted: [2, 3] },
      { clean: [4, 5], corrupted: [3, 4] },
      { clean: [6, 7], corrupted: [5, 6] },
    ]);
    const [row] = readDataset(fileOf({ ...ROW, spans: SPANS }));
    expect(positionNames(row?.kind === "pair" ? (row.spans ?? []) : [])).toEqual(["subject", "link", "answer"]);
    // A part of a word is its token, and a space in front belongs to what follows.
    const part = { subject: { clean: [6, 9], patch: [3, 5] } };
    expect(placed({ ...ROW, spans: part })?.[0]).toEqual({ clean: [2, 4], corrupted: [2, 3] });
  });

  test("may be one range of both prompts, and may name the answer's own, of several tokens", () => {
    expect(placed({ ...ROW, spans: { start: [0, 3] } })?.[0]).toEqual({ clean: [1, 2], corrupted: [1, 2] });
    const answer = { answer: { clean: [18, 25], patch: [13, 20] } };
    expect(placed({ ...ROW, spans: answer })).toEqual([{ clean: [5, 7], corrupted: [4, 6] }]);
  });

  test("count characters, not bytes or UTF-16 units", () => {
    const row = { ...ROW, clean_prefix: "The 😀 cats near the dog", patch_prefix: "The 😀 cat near the dog" };
    const [read] = readDataset(fileOf({ ...row, spans: { subject: { clean: [6, 10], patch: [6, 9] } } }));
    const span = read?.kind === "pair" ? read.spans?.[0] : undefined;
    expect(row.clean_prefix.slice(...(span?.clean ?? []))).toBe("cats");
    expect(row.patch_prefix.slice(...(span?.patch ?? []))).toBe("cat");
  });

  test("a character of several tokens belongs to each of them, and tokens lie side by side along the text", () => {
    for (const text of ["The 😀 cats near é the dog", "The boy", "x\ny  z"]) {
      const texts = tokenTexts(text, tokenizer) ?? [];
      expect(texts).toHaveLength(tokenizer.encode(text).length - 1);
      expect(texts.at(-1)?.[1]).toBe(text.length);
      texts.forEach(([from], i) => {
        const before = texts[i - 1] ?? [0, 0];
        expect(from === before[1] || from === before[0]).toBe(true);
      });
    }
  });

  test("a message counts characters as ranges do", () => {
    const row = {
      ...ROW,
      clean_prefix: "The 😀 cats near the dog",
      spans: { answer: { clean: [4, 5], patch: [4, 7] } },
    };
    expect(faultsOf(row).join("\n")).toMatch(/spans\.answer\.clean: .*end it at 23/);
  });

  test("a text that holds what broken characters decode to has a place for every token, or none at all", () => {
    for (const text of ["The \uFFFD", "The \uFFFD cats", "\uFFFD", "é\uFFFD\uFFFD"]) {
      const texts = tokenTexts(text, tokenizer);
      if (texts !== null) expect(texts).toHaveLength(tokenizer.encode(text).length - 1);
    }
  });

  test.each([
    ["an empty range", { subject: { clean: [4, 4], patch: [4, 7] } }, /rows\.jsonl:1: spans\.subject\.clean: expected a range \[from, to\] with from below to, got \[4, 4\]/], // prettier-ignore
    ["a range outside the text", { subject: { clean: [4, 12], patch: [4, 70] } }, /:1: spans\.subject\.patch: expected a range within the 20 characters of patch_prefix, got \[4, 70\]/], // prettier-ignore
    ["one over another", { ...SPANS, link: { clean: [11, 17], patch: [8, 12] } }, /:1: spans\.link\.clean: expected a range from 12 on, behind the span subject, got \[11, 17\]/], // prettier-ignore
    ["a token of two", { a: { clean: [0, 4], patch: [0, 3] }, b: { clean: [4, 7], patch: [4, 7] } }, /:1: spans\.b\.clean: shares the token “ old” with the span a; move the end/], // prettier-ignore
    ["the last token by another name", { end: { clean: [22, 25], patch: [17, 20] } }, /:1: spans\.end\.clean: holds the last token, which is the position of the answer; end it before “ dog”/], // prettier-ignore
    ["an answer without the last token", { answer: { clean: [4, 7], patch: [4, 7] } }, /:1: spans\.answer\.clean: expected the span of the answer to hold the last token; end it at 25/], // prettier-ignore
    ["one side alone", { subject: { clean: [4, 12] } }, /:1: spans\.subject/],
    ["a name that positions have", { all: [0, 3] }, /:1: spans\.all: expected a name of a letter.*not all or global/],
    ["a name that is a number", { 3: [0, 3] }, /:1: spans\.3: expected a name of a letter/],
    ["none", {}, /:1: spans: expected at least one span/],
  ])("%s is refused with file, line and field", (_what, spans, message) => {
    expect(faultsOf({ ...ROW, spans }).join("\n")).toMatch(message);
  });

  test("are the same in every row, and rows of pairs alone have them", () => {
    expect(faultsOf({ ...ROW, spans: SPANS }, ROW)[0]).toMatch(
      /rows\.jsonl:2: spans: expected the spans subject, link as in rows\.jsonl:1, got no spans; every row names the same spans/,
    );
    const { link, subject } = SPANS;
    expect(faultsOf({ ...ROW, spans: SPANS }, { ...ROW, spans: { subject } })[0]).toMatch(/got the spans subject;/);
    expect(faultsOf({ ...ROW, spans: { link, subject } })[0]).toMatch(/name spans in the order of the text/);
    const plain = { prompt: "The cat", true_answer: " is", false_answer: " are", spans: { subject: [0, 3] } };
    expect(faultsOf(plain)[0]).toMatch(/rows\.jsonl:1: spans: is built for rows of pairs alone/);
  });

  test("all faults of a row are named in one round", () => {
    const spans = { a: { clean: [3, 3], patch: [0, 99] } };
    expect(faultsOf({ ...ROW, spans })).toHaveLength(2);
  });
});
