/** @file Single heads of attn_z as nodes: no golden values exist, so they are held against whole sites and their own scores. */
import { beforeAll, describe, expect, it } from "vitest";
import { runPaths } from "../../src/run/run-folder.js";
import { readParquet } from "../../src/artifacts/parquet.js";
import { goldenSpliced, TINY_A } from "./golden.js";
import { runPipeline } from "./pipeline.js";

const SWEEP = `name: heads
model: { path: model }
saes: { path: saes }
dataset: { path: data/pairs.jsonl, limit: 6 }
scores: [{ name: atp, method: atp }]
truth: { heads: {}, whole_sites: { sites: [attn_z] }, errors: { sites: [attn_z] } }
`;

let rows: Record<string, unknown>[] = [];

beforeAll(async () => {
  const model = await goldenSpliced();
  const { folder } = await runPipeline(SWEEP, TINY_A, model);
  ({ rows } = await readParquet(runPaths(folder).artifact("truth.parquet")));
  model.dispose();
});

const numbers = (kind: string, column: string): number[] =>
  rows.filter((row) => row["kind"] === kind).map((row) => Number(row[column]));

describe("attention heads", () => {
  it("have true effects that differ from zero and from head to head", () => {
    const effects = numbers("head", "effect").filter((effect) => effect !== 0);
    expect(effects.length).toBeGreaterThan(100);
    expect(new Set(effects.map((effect) => effect.toFixed(6))).size).toBeGreaterThan(100);
  });

  it("have AtP scores that add up to the whole site's", () => {
    const sums = new Map<string, number>();
    for (const row of rows) {
      if (row["kind"] !== "head") continue;
      const key = [row["layer"], row["position"], row["prompt"]].join("/");
      sums.set(key, (sums.get(key) ?? 0) + Number(row["atp"]));
    }
    for (const row of rows) {
      if (row["kind"] !== "site") continue;
      const sum = sums.get([row["layer"], row["position"], row["prompt"]].join("/"));
      expect(Math.abs(Number(sum) - Number(row["atp"]))).toBeLessThan(2e-5);
    }
    expect(sums.size).toBe(4 * 7 * 6);
  });

  it("have true effects near their AtP scores where a patch is small", () => {
    const small = rows.filter(
      (row) => row["kind"] === "head" && Math.abs(Number(row["atp"])) > 1e-3 && Math.abs(Number(row["atp"])) < 0.02,
    );
    const agree = small.filter((row) => Math.sign(Number(row["atp"])) === Math.sign(Number(row["effect"])));
    expect(small.length).toBeGreaterThan(50);
    expect(agree.length / small.length).toBeGreaterThan(0.7);
  });
});
