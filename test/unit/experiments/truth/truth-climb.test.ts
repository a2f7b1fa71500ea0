import { describe, expect, it } from "vitest";
import { must } from "../../../../src/base/assert.js";
import { GLOBAL_POSITION, type Node, type NodePosition } from "../../../../src/nodes/node.js";
import type { Site } from "../../../../src/nodes/site.js";
import { climbOf, sources } from "../../../../src/experiments/truth/truth-climb.js";
import type { TruthRow } from "../../../../src/experiments/truth/truth-rows.js";

const SIZE = { prompts: 2, positions: 5, nLayers: 4 };

function row(site: Site, layer: number, position: NodePosition, start = Number(position)): TruthRow {
  const node: Node = { kind: "error", site, layer, position };
  return { slot: 0, prompt: 1, node, start, length: position === GLOBAL_POSITION ? SIZE.positions - start : 1 };
}

const carriedBy = (rows: TruthRow[]): number[][][] =>
  climbOf({ rows }, SIZE).steps.map(({ carried }) => carried.map(({ start, length }) => [start, length]));

describe("the climb of a truth block", () => {
  it("carries the patched position at first, then every later one, and leaves with the answer", () => {
    expect(carriedBy([row("mlp_out", 0, 2)])).toEqual([[], [[2, 1]], [[2, 3]], [[2, 3]]]);
    expect(carriedBy([row("resid_post", 1, GLOBAL_POSITION, 3)])).toEqual([[], [[3, 2]], [[3, 2]]]);
    const { steps, out } = climbOf({ rows: [row("mlp_out", 0, 2), row("attn_z", 3, 4)] }, SIZE);
    expect(out.map(({ start, length, offset }) => [start, length, offset])).toEqual([
      [4, 1, 0],
      [4, 1, 1],
    ]);
    expect(must(steps[3], "layer").groups.map(({ span }) => span)).toEqual([{ start: 4, length: 1 }]);
  });

  it("carries the tokens of a span at first, then every later one", () => {
    expect(carriedBy([{ ...row("mlp_out", 0, 0, 1), length: 2 }])).toEqual([[], [[1, 2]], [[1, 4]], [[1, 4]]]);
  });

  it("takes from the clean run what a row does not carry", () => {
    const { carried } = must(climbOf({ rows: [row("mlp_out", 0, 2), row("mlp_out", 0, 3)] }, SIZE).steps[1], "layer");
    const everything = [...sources(carried, { start: 0, length: 5 }, SIZE)];
    expect(everything).toEqual([5, 6, 10, 8, 9, 5, 6, 7, 11, 9]);
  });
});
