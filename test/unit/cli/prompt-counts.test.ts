/** @file The first line of a run: rows that were kept, dropped, repeated, and their clusters. */
import { expect, it } from "vitest";
import { promptCounts, promptsText } from "../../../src/cli/prompt-counts.js";
import type { Prompt } from "../../../src/nodes/prompt.js";
import type { Plan } from "../../../src/plan/plan.js";

const ROW: Prompt = { line: 1, clean: [2, 5], corrupted: [2, 6], correct: 7, incorrect: [8] };

const countsOf = (...rows: Partial<Prompt>[]) => {
  const prompts = rows.map((row, at) => ({ ...ROW, line: at + 1, ...row }));
  return promptCounts({ plan: { prompts } as unknown as Plan, dropped: [] });
};

it("a prompt repeats another where the tokens of both sides and the answers are the same, whatever its cluster", () => {
  expect(countsOf({}, {}, { cluster: "cat" })).toEqual({ kept: 3, dropped: 0, repeated: 2, clusters: 1 });
  expect(countsOf({}, { clean: [2, 4] }, { corrupted: [2, 7] }, { correct: 9 }, { incorrect: [9] }).repeated).toBe(0);
  expect(countsOf({ corrupted: null }, { corrupted: null }).repeated).toBe(1);
});

it("held-out rows are counted that have the texts of a row which chooses, with other answers or exchanged sides", () => {
  const prompts: Prompt[] = [
    ROW,
    { ...ROW, clean: [2, 6], corrupted: [2, 5] },
    { ...ROW, clean: [2, 6], corrupted: [2, 7] },
    { ...ROW, corrupted: null },
    { ...ROW, correct: 8, incorrect: [7] },
  ];
  const counts = promptCounts({ plan: { prompts, evaluated: 4 } as unknown as Plan, dropped: [] });
  expect(counts.heldOut).toEqual({ select: 1, shared: 0, sameTexts: 2 });
});

it("the line says what there is to say, and no more", () => {
  expect(promptsText({ kept: 24, dropped: 0, repeated: 0, clusters: 0 })).toBe("24 prompts");
  expect(promptsText({ kept: 24, dropped: 2, repeated: 3, clusters: 7 })).toBe(
    "24 prompts of 7 clusters (2 rows dropped, see artifacts/dropped.jsonl; 3 repeat the tokens and answers of an earlier one)",
  );
  expect(
    promptsText({ kept: 24, dropped: 0, repeated: 0, clusters: 7, heldOut: { select: 50, shared: 3, sameTexts: 0 } }),
  ).toBe("24 prompts of 7 clusters (50 others choose nodes and means, which have 3 of these clusters too)");
  expect(
    promptsText({ kept: 1, dropped: 1, repeated: 1, clusters: 1, heldOut: { select: 1, shared: 1, sameTexts: 1 } }),
  ).toBe(
    "1 prompt of 1 cluster (1 other chooses nodes and means, which has 1 of these clusters too; 1 has the texts of one that chooses; 1 row dropped, see artifacts/dropped.jsonl; 1 repeats the tokens and answers of an earlier one)",
  );
});
