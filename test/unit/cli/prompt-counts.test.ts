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

it("the line says what there is to say, and no more", () => {
  expect(promptsText({ kept: 24, dropped: 0, repeated: 0, clusters: 0 })).toBe("24 prompts");
  expect(promptsText({ kept: 24, dropped: 2, repeated: 3, clusters: 7 })).toBe(
    "24 prompts of 7 clusters (2 rows dropped, see artifacts/dropped.jsonl; 3 repeat the tokens and answers of an earlier one)",
  );
  expect(promptsText({ kept: 24, dropped: 0, repeated: 0, clusters: 7, heldOut: { select: 50, shared: 3 } })).toBe(
    "24 prompts of 7 clusters (50 others choose nodes and means, which have 3 of these clusters too)",
  );
});
