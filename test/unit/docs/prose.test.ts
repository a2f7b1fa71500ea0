/** @file Pages are written in short sentences: a limit for each page, without its code, tables and lists of facts. */
import { expect, test } from "vitest";
import { countWords, pagePaths, readPage, sentencesOf } from "./pages.js";

/** Words that no sentence exceeds, that nine of ten sentences of a page do not exceed, and that half of them do not. */
const LONGEST = 30;
const P90 = 25;
const MEDIAN = 17;

const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;

test.each(pagePaths())("the sentences of %s are short", (path) => {
  const sentences = sentencesOf(readPage(path));
  const lengths = sentences.map(countWords).sort((a, b) => a - b);
  expect(sentences.filter((sentence) => countWords(sentence) > LONGEST)).toEqual([]);
  expect(quantile(lengths, 0.9)).toBeLessThanOrEqual(P90);
  expect(quantile(lengths, 0.5)).toBeLessThanOrEqual(MEDIAN);
});

test("code, tables, headings and facts of a list are no sentences, and a link counts as its words", () => {
  const page = [
    "# A heading",
    "Two sentences [with a link](other.md) and `some code here`. The second",
    "goes on over a line.",
    "",
    "| a table |",
    "- a fact of a list",
    "- An item that is a sentence (2.11 is a number).",
    "```",
    "code that is no sentence.",
    "```",
  ].join("\n");
  expect(sentencesOf(page)).toEqual([
    "Two sentences with a link and Code.",
    "The second goes on over a line.",
    "An item that is a sentence (2.11 is a number).",
  ]);
  expect(sentencesOf(page).map(countWords)).toEqual([7, 7, 10]);
});
