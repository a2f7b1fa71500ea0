/** @file Where evaluations first change anything, and how they are put together by it. */
import { expect, it } from "vitest";
import { earliest, firstChange, orderedBlocks, sparesRun } from "../../../../src/experiments/circuits/first-change.js";
import { ABLATED, LIVE, RESTORED, type SiteIntervention } from "../../../../src/nodes/intervention.js";

const SIZE = { nLayers: 4, positions: 3 };

/** A site of two features, of whose nodes `[position, feature]` one is in a state. */
function site(position: number, feature: number, state: number): SiteIntervention {
  const features = new Uint8Array(6).fill(LIVE);
  features[position * 2 + feature] = state;
  return { features, errors: new Uint8Array(3), slices: new Uint8Array(0) };
}

it("the first change is the lowest layer and the earliest position of any site's nodes, ablated or restored", () => {
  expect(firstChange(new Map(), SIZE)).toEqual({ layer: 4, position: 2 });
  const late = new Map([["blocks.2.hook_resid_post", site(2, 1, ABLATED)]]);
  expect(firstChange(late, SIZE)).toEqual({ layer: 2, position: 2 });
  const both = new Map([...late, ["blocks.3.hook_mlp_out", site(1, 0, RESTORED)] as const]);
  expect(firstChange(both, SIZE)).toEqual({ layer: 2, position: 1 });
  const errors = { ...site(2, 1, ABLATED), errors: Uint8Array.of(RESTORED, LIVE, ABLATED) };
  expect(firstChange(new Map([["blocks.1.hook_resid_post", errors]]), SIZE)).toEqual({ layer: 1, position: 0 });
  expect(earliest([firstChange(late, SIZE), firstChange(both, SIZE)])).toEqual({ layer: 2, position: 1 });
});

it("an unablated run is worth it where evaluations spare more cells than it has", () => {
  const last = { layer: 2, position: 2 }; // 2 of 12 cells are left.
  expect(sparesRun([last], { ...SIZE, runs: [10], rows: 10 })).toBe(false);
  expect(sparesRun([last, last], { ...SIZE, runs: [10, 10], rows: 10 })).toBe(true);
  expect(sparesRun([last, last], { ...SIZE, runs: [10, 1], rows: 10 })).toBe(false);
  expect(sparesRun([{ layer: 0, position: 0 }], { ...SIZE, runs: [10], rows: 10 })).toBe(false);
});

it("blocks are cut in the order of first changes, and rows keep their evaluation", () => {
  const changes = [
    { layer: 0, position: 2 },
    { layer: 0, position: 0 },
    { layer: 1, position: 0 },
    { layer: 0, position: 2 },
  ];
  expect(orderedBlocks(changes, [4, 4, 4, 4], 8)).toEqual([
    [
      { evaluation: 1, start: 0, count: 4 },
      { evaluation: 2, start: 0, count: 4 },
    ],
    [
      { evaluation: 0, start: 0, count: 4 },
      { evaluation: 3, start: 0, count: 4 },
    ],
  ]);
});
