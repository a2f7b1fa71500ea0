/** @file Ranks of the largest nodes. */
import { describe, expect, test } from "vitest";
import { ranksOfLargest } from "../../../src/compare/node-ranks.js";
import { kindRanks } from "../../../src/compare/kind-ranks.js";
import { must } from "../../../src/base/assert.js";
import type { ListedNode } from "../../../src/experiments/truth/node-table.js";
import { familiesOf } from "../../../src/experiments/truth/validation-groups.js";
import { resampleClusters } from "../../../src/stats/bootstrap.js";
import { clustersOf, type PromptMatrix } from "../../../src/stats/clusters.js";
import { levelsOf, midranks } from "../../../src/stats/rank.js";
import { CONTEXT, NODE_LIST, NODES, PROMPTS, tableOf } from "./two-tables.js";

const draws = resampleClusters(CONTEXT.clusters, 200, 1);
const constant = (means: readonly number[], prompts = PROMPTS): PromptMatrix => ({
  prompts,
  nodes: means.length,
  values: Float64Array.from({ length: prompts * means.length }, (_, i) => must(means[i % means.length], "mean")),
  present: null,
});
const nodesOf = (chances: readonly number[]): ListedNode[] =>
  chances.map((inclusionProbability, n) => ({ ...must(NODE_LIST[n], "node"), inclusionProbability }));

describe("ranks", () => {
  test("go by size, whatever the sign, and are sure where no prompt says otherwise", () => {
    const found = ranksOfLargest(
      nodesOf([1, 1, 1, 1]),
      [{ label: "effect", matrix: constant([0.1, -4, 2, 3]) }],
      3,
      draws,
    );
    expect(found.map(({ node }) => node.slot)).toEqual([1, 3, 2]);
    expect(found.map(({ ranks }) => ranks[0])).toEqual([1, 2, 3].map((value) => ({ value, low: value, high: value, bias: 0 }))); // prettier-ignore
  });

  test("count a node for those that it stands for, and equal nodes share the middle of their places", () => {
    const [chances, means] = [
      [1, 0.25, 1, 0.5, 1],
      [5, 4, 3, 3, 1],
    ];
    const found = ranksOfLargest(nodesOf(chances), [{ label: "effect", matrix: constant(means) }], 5, draws);
    const sizes = levelsOf(Float64Array.from(means, (mean) => -mean));
    const wanted = midranks(
      sizes,
      Float64Array.from(chances, (chance) => 1 / chance),
    );
    expect(found.map(({ ranks }) => ranks[0]?.value)).toEqual(found.map(({ node }) => must(wanted[node.slot], "rank") + 0.5)); // prettier-ignore
    expect(found[0]?.ranks[0]?.value).toBe(1);
    expect(found[1]?.ranks[0]?.value).toBe(3.5);
  });

  test("have an interval that holds the places which resamples give, never before the first", () => {
    const table = tableOf({ one: (effect, n, p) => (p % 8 === 0 && n === 3 ? 90 : effect) });
    const family = must(familiesOf(NODE_LIST)[0], "family");
    const [found] = kindRanks([table, table], [{ a: family, b: family, isSame: true }], [["one", "one"]], { ...CONTEXT, draws }); // prettier-ignore
    expect(found?.columns).toEqual(["effect", "one"]);
    expect(found).toMatchObject({ n: NODES, places: NODES });
    expect(found?.nodes).toHaveLength(10);
    const node = found?.nodes.find((one) => one.node.slot === 3);
    expect(node?.ranks[1]).toMatchObject({ value: 1, low: 1 });
    // Resamples without the one cluster rank it as its effect does.
    expect(node?.ranks[1]?.high).toBeGreaterThan(3);
    for (const { ranks } of found?.nodes ?? [])
      for (const { value, low, high } of ranks) {
        expect(must(low, "low")).toBeGreaterThanOrEqual(1);
        expect(must(high, "high")).toBeLessThanOrEqual(NODES);
        expect(must(low, "low")).toBeLessThanOrEqual(must(value, "value"));
      }
  });

  test("of nodes that a resample has no prompt of are left out of that resample", () => {
    const clusters = clustersOf(Array.from({ length: 8 }, (_, p) => String(p)));
    const own = constant([3, 2], 8);
    const present = Uint8Array.from({ length: 16 }, (_, i) => (i % 2 === 1 && i > 1 ? 0 : 1));
    const matrix = { ...own, present };
    const [first, second] = ranksOfLargest(nodesOf([1, 1]), [{ label: "effect", matrix }], 2, resampleClusters(clusters, 200, 1)); // prettier-ignore
    expect(first?.ranks[0]).toMatchObject({ value: 1, low: 1, high: 1 });
    expect(second?.ranks[0]).toMatchObject({ value: 2, low: 2, high: 2 });
  });

  test("are given of the same nodes only", () => {
    const table = tableOf({ one: (effect) => effect });
    const family = must(familiesOf(NODE_LIST)[0], "family");
    expect(kindRanks([table, table], [{ a: family, b: family, isSame: false }], [["one", "one"]], { ...CONTEXT, draws })).toEqual([]); // prettier-ignore
  });
});
