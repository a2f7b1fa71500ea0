/** @file Sets at the answer position of prompts of several lengths rank by the mean scores of the nodes there, whatever the kind. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readParquet, type ParquetRow } from "../../src/artifacts/parquet.js";
import { spliceModel, type SplicedModel } from "../../src/passes/spliced-model.js";
import { runPaths } from "../../src/run/run-folder.js";
import { goldenModel, goldenSpliced, TINY_A } from "./golden.js";
import { runPipeline } from "./pipeline.js";

const sweepOf = (kind: string, more: string): string => `name: ends
model: { path: model }
dataset: { path: data/pairs-mixed-lengths.jsonl }
scores: [{ name: atp, method: atp }]
truth: { nodes: [{ kind: ${kind}, at: -1 }] }
experiments: [{ name: x, ablate: { kind: ${kind}, at: -1, top: 3, per: all } }]
${more}
`;

const SWEEPS = {
  head: sweepOf("head", "circuits: { nodes: heads, thresholds: [0.01] }"),
  error_linear: sweepOf("error_linear", "saes: { path: saes }\nfit: { path: data/pairs.jsonl }"),
};

let withSaes: SplicedModel;
let bare: SplicedModel;

beforeAll(async () => {
  withSaes = await goldenSpliced();
  bare = spliceModel(await goldenModel(), []);
});
afterAll(() => {
  withSaes.dispose();
  bare.dispose();
});

const nameOf = (row: ParquetRow, index: string): string => `${String(row["hook"])} ${String(row[index])}`;

describe("a set at the answer position", () => {
  it.each(["head", "error_linear"] as const)(
    "has the strongest %s nodes of prompts of several lengths",
    async (kind) => {
      const { folder } = await runPipeline(SWEEPS[kind], TINY_A, kind === "head" ? bare : withSaes);
      const read = async (name: string): Promise<ParquetRow[]> =>
        (await readParquet(runPaths(folder).artifact(name))).rows;
      const scores = new Map<string, number[]>();
      for (const row of await read("truth.parquet")) {
        const name = nameOf(row, "head");
        scores.set(name, [...(scores.get(name) ?? []), Number(row["atp"])]);
      }
      const means = [...scores].map(([name, own]) => ({ name, mean: own.reduce((a, b) => a + b, 0) / own.length }));
      const strongest = means.toSorted((a, b) => Math.abs(b.mean) - Math.abs(a.mean)).slice(0, 3);
      const listed = (await read("sets.parquet")).map((row) => ({
        name: nameOf(row, "index"),
        mean: Number(row["score"]),
      }));
      expect(listed.map(({ name }) => name).toSorted()).toEqual(strongest.map(({ name }) => name).toSorted());
      for (const { name, mean } of strongest)
        expect(listed.find((one) => one.name === name)?.mean).toBeCloseTo(mean, 6);
      expect(Math.abs(strongest[2]?.mean ?? 0)).toBeGreaterThan(0.01);
    },
  );
});
