import { describe, expect, it } from "vitest";
import type { Prompt } from "../../../src/circuit/prompt.js";
import { resampleDonors } from "../../../src/plan/donors.js";

const promptsOf = (lengths: readonly number[]): Prompt[] =>
  lengths.map((length, line) => ({
    line,
    clean: new Array<number>(length).fill(2),
    corrupted: null,
    correct: 1,
    incorrect: [3],
  }));

describe("resampleDonors", () => {
  it("is a permutation without fixed points within each length, fixed by the seed", () => {
    const prompts = promptsOf([5, 6, 5, 6, 6, 5, 5, 6]);
    for (let seed = 0; seed < 50; seed++) {
      const result = resampleDonors(prompts, seed);
      if (!("donors" in result)) throw new Error("no donors");
      expect([...result.donors].sort()).toEqual(prompts.map((_, i) => i));
      result.donors.forEach((donor, i) => {
        expect(donor).not.toBe(i);
        expect(prompts[donor]?.clean).toHaveLength(prompts[i]?.clean.length ?? 0);
      });
      expect(resampleDonors(prompts, seed)).toEqual(result);
    }
  });

  it("names the length that has one prompt only", () => {
    expect(resampleDonors(promptsOf([5, 5, 9]), 0)).toEqual({ loneLength: 9 });
  });
});
