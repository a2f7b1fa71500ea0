/** @file The blocks that prompts are cut into. */
import { expect, it } from "vitest";
import { createRng } from "../../../src/base/rng.js";
import type { Prompt } from "../../../src/nodes/prompt.js";
import { promptBlocks } from "../../../src/plan/stages.js";

const rng = createRng(0, "prompt blocks");
const PROMPTS = Array.from({ length: 2300 }, (_, i): Prompt => {
  const clean = Array.from({ length: 5 }, () => rng.int(4));
  return { line: i + 1, clean, corrupted: null, correct: 1, incorrect: [2] };
});

it("more prompts at the end leave the blocks of the first thousand as they were, so that an earlier run has them", () => {
  const all = promptBlocks(PROMPTS, 32);
  const fewer = promptBlocks(PROMPTS.slice(0, 1500), 32);
  expect(fewer.slice(0, 1024 / 32)).toEqual(all.slice(0, 1024 / 32));
  expect(fewer[1024 / 32]).not.toEqual(all[1024 / 32]);
  expect(all.flat().sort((a, b) => a - b)).toEqual(PROMPTS.map((_, i) => i));
});
