import { describe, expect, it } from "vitest";
import { topFeatures } from "../../../src/nodes/top-features.js";

const scores = Float32Array.from([
  // position 0
  1, -6, 2, 0, 2,
  // position 1
  1, 1, -1, 0, -1,
]);
const base = { scores, dSae: 5, positions: null, count: 5 } as const;

describe("top features", () => {
  it("rank by sum or maximum, signed or absolute, ties by index", () => {
    expect(topFeatures({ ...base, reduce: "sum", keep: "signed" })).toEqual([0, 2, 4, 3, 1]);
    expect(topFeatures({ ...base, reduce: "max", keep: "signed" })).toEqual([2, 4, 0, 1, 3]);
    expect(topFeatures({ ...base, reduce: "sum", keep: "absolute" })).toEqual([1, 2, 4, 0, 3]);
    expect(topFeatures({ ...base, reduce: "max", keep: "absolute" })).toEqual([1, 2, 4, 0, 3]);
  });

  it("look at the given positions only", () => {
    expect(topFeatures({ ...base, positions: [1], reduce: "max", keep: "signed", count: 3 })).toEqual([0, 1, 3]);
  });

  it("are all features where fewer exist than asked for", () => {
    expect(topFeatures({ ...base, reduce: "max", keep: "signed", count: 99 })).toHaveLength(5);
  });

  it("cannot be asked about a position without scores", () => {
    expect(() => topFeatures({ ...base, positions: [2], reduce: "max", keep: "signed" })).toThrow("position 2");
  });
});
