/** @file Whose tokens stand at positions. */
import { expect, test } from "vitest";
import type { PromptRow } from "../../../src/artifacts/prompts-file.js";
import type { PromptUse } from "../../../src/plan/held-out.js";
import { exampleOf, positionTick, tokenAt } from "../../../src/report/example-prompt.js";

function row(line: number, use: PromptUse, tokens: readonly string[], file = `${use}.jsonl`): PromptRow {
  const side = { text: tokens.join(""), tokens };
  const ids = { line, clean: tokens.map((_, t) => t), corrupted: null, correct: 1, incorrect: [2] };
  return { prompt: line, use, ids, text: { file, clean: side, corrupted: null, correct: " is", incorrect: [" are"] } };
}

test("the longest evaluated prompt gives the words, though one that only chose is longer, and its file is named", () => {
  const rows = [
    row(1, "evaluate", ["The", " cat"]),
    row(2, "evaluate", ["The", " old", " dog"]),
    row(3, "select", ["The", " cat", " that", " sees"]),
  ];
  expect(exampleOf(rows)).toEqual({
    line: 2,
    tokens: ["The", " old", " dog"],
    note: "Words at positions are the tokens of one prompt, line 2 of evaluate.jsonl; others have other tokens there, and other lengths.",
  });
});

test("of one file the dataset is meant, and nothing is said of others where all have the same words", () => {
  expect(exampleOf([row(1, "both", ["A"]), row(2, "both", ["B"])])?.note).toBe(
    "Words at positions are the tokens of one prompt, line 1 of the dataset; others have other tokens there.",
  );
  expect(exampleOf([row(1, "both", ["A"]), row(2, "both", ["A"])])?.note).toBe(
    "Words at positions are the tokens of every clean prompt.",
  );
  expect(exampleOf(null)).toBeNull();
});

test("where rows have spans, positions are called by these, on axes by their names alone", () => {
  const example = exampleOf([row(1, "both", ["The", " old", " cat"])], ["subject", "answer"]);
  expect([0, -1].map((position) => tokenAt(example, position))).toEqual([" “subject”", " “answer”"]);
  expect([0, 1].map(positionTick(example))).toEqual(["subject", "answer"]);
  expect(example?.note).toBe("Positions are the spans that the rows name.");
});
