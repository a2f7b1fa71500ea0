import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Candidate, chooseFeatures } from "../../../../src/experiments/truth/choose-features.js";

const sample = { seed: 1, label: "test" };
const frameOf = (size: number): Candidate[] =>
  Array.from({ length: size }, (_, i) => ({ position: i % 7, feature: i, score: (size - i) * (i % 2 === 0 ? 1 : -1) }));

describe("chooseFeatures", () => {
  it("takes the strongest by magnitude with certainty, ties by position then feature", () => {
    const tied = [
      { position: 2, feature: 0, score: 1 },
      { position: 1, feature: 5, score: -1 },
      { position: 1, feature: 4, score: 1 },
      { position: 0, feature: 9, score: 0.5 },
    ];
    const chosen = chooseFeatures(tied, { ...sample, top: 2, random: 0 });
    expect(chosen.map(({ position, feature }) => [position, feature])).toEqual([
      [1, 4],
      [1, 5],
    ]);
    expect(chosen.every(({ stratum, inclusionProbability }) => stratum === "top" && inclusionProbability === 1)).toBe(
      true,
    );
  });

  it("draws a third from each band of the rest, with probability places over band size", () => {
    const chosen = chooseFeatures(frameOf(210), { ...sample, top: 10, random: 15 });
    const counts = (stratum: string): number => chosen.filter((node) => node.stratum === stratum).length;
    expect([counts("top"), counts("top_5_percent"), counts("next_25_percent"), counts("remainder")]).toEqual([
      10, 5, 5, 5,
    ]);
    const probabilities = new Set(
      chosen.filter(({ stratum }) => stratum !== "top").map((node) => node.inclusionProbability),
    );
    expect([...probabilities].sort()).toEqual([5 / 10, 5 / 50, 5 / 140].sort());
  });

  it("gives the places of a short band to the next", () => {
    const chosen = chooseFeatures(frameOf(20), { ...sample, top: 0, random: 12 });
    expect(chosen.filter(({ stratum }) => stratum === "top_5_percent")).toHaveLength(1);
    expect(chosen).toHaveLength(12);
  });

  it("chooses without repeats, as many as asked or as there are, whatever the order of the frame", () => {
    fc.assert(
      fc.property(fc.nat(200), fc.nat(60), fc.nat(60), (size, top, random) => {
        const frame = frameOf(size);
        const chosen = chooseFeatures(frame, { ...sample, top, random });
        expect(chosen).toHaveLength(Math.min(size, top + random));
        expect(new Set(chosen.map(({ feature }) => feature)).size).toBe(chosen.length);
        expect(chooseFeatures([...frame].reverse(), { ...sample, top, random })).toEqual(chosen);
        for (const { inclusionProbability } of chosen) expect(inclusionProbability).toBeGreaterThan(0);
      }),
      { numRuns: 100 },
    );
  });
});
