import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Candidate,
  type ChosenNode,
  type NodeSample,
  sampledNodes,
  strongestNodes,
} from "../../../src/nodes/choose-nodes.js";

const sample = { seed: 1, label: "test", strata: "magnitude" } as const;
const frameOf = (size: number): Candidate[] =>
  Array.from({ length: size }, (_, i) => ({ position: i % 7, index: i, score: (size - i) * (i % 2 === 0 ? 1 : -1) }));

/** The strongest, and a sample of the rest, by position and index. */
function chooseNodes(
  frame: readonly Candidate[],
  { top, ...rest }: NodeSample & { readonly top: number },
): ChosenNode[] {
  const strongest = strongestNodes(frame, top);
  const left = frame.filter((one) => !strongest.some((taken) => taken.index === one.index));
  const chosen = [...strongest, ...sampledNodes(left, rest)];
  return chosen.sort((a, b) => Number(a.position) - Number(b.position) || a.index - b.index);
}

describe("nodes of a frame", () => {
  it("takes the strongest by magnitude with certainty, ties by position then index", () => {
    const tied = [
      { position: 2, index: 0, score: 1 },
      { position: 1, index: 5, score: -1 },
      { position: 1, index: 4, score: 1 },
      { position: 0, index: 9, score: 0.5 },
    ];
    const chosen = chooseNodes(tied, { ...sample, top: 2, random: 0 });
    expect(chosen.map(({ position, index }) => [position, index])).toEqual([
      [1, 4],
      [1, 5],
    ]);
    expect(chosen.every(({ stratum, inclusionProbability }) => stratum === "top" && inclusionProbability === 1)).toBe(
      true,
    );
  });

  it("draws a third from each band of the rest, with probability places over band size", () => {
    const chosen = chooseNodes(frameOf(210), { ...sample, top: 10, random: 15 });
    const counts = (stratum: string): number => chosen.filter((node) => node.stratum === stratum).length;
    expect([counts("top"), counts("top_5_percent"), counts("next_25_percent"), counts("remainder")]).toEqual([
      10, 5, 5, 5,
    ]);
    const probabilities = new Set(
      chosen.filter(({ stratum }) => stratum !== "top").map((node) => node.inclusionProbability),
    );
    expect([...probabilities].sort()).toEqual([5 / 10, 5 / 50, 5 / 140].sort());
  });

  it("are drawn all alike where there are no strata", () => {
    const chosen = sampledNodes(frameOf(100), { ...sample, strata: "none", random: 20 });
    expect(new Set(chosen.map(({ inclusionProbability }) => inclusionProbability))).toEqual(new Set([0.2]));
  });

  it("gives the places of a short band to the next", () => {
    const chosen = chooseNodes(frameOf(20), { ...sample, top: 0, random: 12 });
    expect(chosen.filter(({ stratum }) => stratum === "top_5_percent")).toHaveLength(1);
    expect(chosen).toHaveLength(12);
  });

  it("chooses without repeats, as many as asked or as there are, whatever the order of the frame", () => {
    fc.assert(
      fc.property(fc.nat(200), fc.nat(60), fc.nat(60), (size, top, random) => {
        const frame = frameOf(size);
        const chosen = chooseNodes(frame, { ...sample, top, random });
        expect(chosen).toHaveLength(Math.min(size, top + random));
        expect(new Set(chosen.map(({ index }) => index)).size).toBe(chosen.length);
        expect(chooseNodes([...frame].reverse(), { ...sample, top, random })).toEqual(chosen);
        for (const { inclusionProbability } of chosen) expect(inclusionProbability).toBeGreaterThan(0);
      }),
      { numRuns: 100 },
    );
  });
});
