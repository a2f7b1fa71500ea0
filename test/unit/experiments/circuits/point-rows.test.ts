/** @file What tables say of points: numbers of nodes, and columns of axes, their types and the work of writing them in pieces. */
import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { must } from "../../../../src/base/assert.js";
import { pointsOf, setUses } from "../../../../src/experiments/circuits/points.js";
import { setContext } from "../../../../src/plan/set-context.js";
import { REGISTER } from "../../../../src/experiments/registry.js";
import { tokenCounts } from "../../../../src/plan/held-out.js";
import { planSweep } from "../../../../src/plan/make-plan.js";
import { resolveSet } from "../../../../src/plan/resolve-set.js";
import { axisColumns, pointSizes } from "../../../../src/experiments/circuits/point-rows.js";

describe("the nodes of a point", () => {
  it("are those of the longest prompts, of which each counts once, from whichever end", async () => {
    const text = `name: grids
model: { path: model }
saes: { path: saes }
dataset: { path: data/pairs-mixed-lengths.jsonl }
experiments:
  - name: x
    ablate: { kind: error, site: resid_post, at: [all, -1] }
    restore: { kind: error, site: resid_post, at: [-1, 0] }
`;
    const source = { text, file: "sweep.yaml", baseFolder: resolve("test/fixtures/tiny-a") };
    const { plan } = await planSweep(REGISTER.experiments, source, { backend: "wasm", autoThreads: 1 });
    const scores = () => () => () => 0;
    const sets = new Map(
      setUses(plan.sweep).map(({ key, expression }) => [
        key,
        resolveSet(expression, { ...setContext({ ...plan, lengths: tokenCounts(plan) }), by: "atp", seed: 0, scores })
          .nodes,
      ]),
    );
    const { longest } = tokenCounts(plan);
    expect(pointSizes(plan, must(pointsOf(plan.sweep)[0], "point"), sets)).toMatchObject({
      nodesAblated: 4 * longest,
      nodesRestored: 8,
      nodesNamedByBoth: 8,
    });
  });
});

describe("the columns of axes", () => {
  it("are numbers where all values are, and say nothing where a row has no such axis", () => {
    const rows = [
      { axes: new Map<string, number | string>([["K", 1]]) },
      { axes: new Map<string, number | string>([["what", 2]]) },
      { axes: new Map<string, number | string>([["what", "a"]]) },
    ];
    expect(axisColumns(rows, rows.slice(1))).toEqual([
      { name: "K", type: "DOUBLE", values: Float64Array.of(Number.NaN, Number.NaN) },
      { name: "what", type: "STRING", values: ["2", "a"] },
    ]);
  });

  it("read every row a few times, in however many pieces they are written", () => {
    let reads = 0;
    const rows = Array.from({ length: 100 }, (_, i) => ({
      get axes() {
        reads += 1;
        return new Map([["K", i]]);
      },
    }));
    for (const row of rows) axisColumns(rows, [row]);
    expect(reads).toBeLessThan(5 * rows.length);
  });
});
