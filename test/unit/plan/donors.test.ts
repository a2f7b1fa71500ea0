import { describe, expect, it } from "vitest";
import type { Prompt } from "../../../src/nodes/prompt.js";
import { DRAWS, donorOf, type Donors, resampleDonors } from "../../../src/plan/donors.js";

const promptsOf = (lengths: readonly number[]): Prompt[] =>
  lengths.map((length, line) => ({
    line,
    clean: new Array<number>(length).fill(2),
    corrupted: null,
    correct: 1,
    incorrect: [3],
  }));

/** Pairs whose clean run is for an answer of `answers`, and whose corrupted run is for the one listed with it. */
function pairsOf(answers: readonly (readonly [correct: number, incorrect: number])[]): Prompt[] {
  return answers.map(([correct, incorrect], line) => ({
    line,
    clean: [2, 100 + line, correct],
    corrupted: [2, 100 + line, incorrect],
    correct,
    incorrect: [incorrect],
  }));
}

function draws(prompts: readonly Prompt[], seed: number): Donors[] {
  return Array.from({ length: DRAWS }, (_, draw) => {
    const result = resampleDonors(prompts, seed, draw);
    if (!("donors" in result)) throw new Error("no donors");
    return result;
  });
}

/** The answer that a run of {@link pairsOf} is for is its last token. */
const answerOf = (ids: readonly number[] | null): number => ids?.at(-1) ?? -1;

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

  const is = [10, 11] as const;
  const are = [11, 10] as const;
  const runs = [20, 21] as const;
  it.each([
    ["one direction", [is, is, is, is, is, is]],
    ["two directions", [is, are, are, is, are, are]],
    ["one direction and several verbs", [is, runs, is, runs, runs, is]],
  ])("takes as many donors for the other answer as for the same one, on data of %s", (_what, answers) => {
    const prompts = pairsOf(answers);
    for (let seed = 0; seed < 20; seed++) {
      for (const draw of draws(prompts, seed)) {
        const number = (answer: number): number => answer % 2;
        const leaning = prompts.map(({ clean, corrupted }, i) => {
          const donor = donorOf(prompts, draw, i);
          const isSame = number(answerOf(donor.clean)) === number(answerOf(clean));
          expect(number(answerOf(donor.corrupted)) === number(answerOf(corrupted))).toBe(isSame);
          return isSame;
        });
        expect(leaning.filter(Boolean)).toHaveLength(prompts.length / 2);
      }
    }
  });

  it("lets the halves change places from one draw to the next, and draws other donors", () => {
    const prompts = pairsOf(Array<readonly [number, number]>(7).fill(is));
    const all = draws(prompts, 3);
    expect(all).toHaveLength(5);
    for (const [i, { exchanged }] of all.entries())
      expect(exchanged).toEqual(all[0]?.exchanged.map((one) => one !== (i % 2 === 1)));
    expect(new Set(all.map(({ donors }) => donors.join())).size).toBeGreaterThan(1);
    expect(draws(prompts, 3)).toEqual(all);
    expect(draws(prompts, 4)).not.toEqual(all);
  });

  it("leaves the sides of a plain dataset as they are", () => {
    for (const { exchanged } of draws(promptsOf([5, 5, 5, 5]), 0)) expect(exchanged).not.toContain(true);
  });
});
