/** @file Scores and means of a finished run: circuits that go by them are those of that run, on its pairs and on plain prompts. */
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readParquet, type ParquetRow } from "../../src/artifacts/parquet.js";
import { readArtifact } from "../../src/run/artifacts.js";
import { readRunFile, runPaths, writeRunFile } from "../../src/run/run-folder.js";
import type { PlannedRun } from "../../src/plan/make-plan.js";
import type { SplicedModel } from "../../src/passes/spliced-model.js";
import { goldenSpliced, TINY_A } from "./golden.js";
import { runPipeline } from "./pipeline.js";
import { TEST_BACKEND } from "./test-backend.js";

const DATA = mkdtempSync(join(tmpdir(), "patchbay-borrowed-"));
const PAIRS = resolve(TINY_A, "data/pairs.jsonl");
/** The clean prompts of the pairs. */
const PLAIN = join(DATA, "plain.jsonl");

const sweepOf = (dataset: string, scores: string): string => `name: circuits
model: { path: model }
saes: { path: saes }
dataset: { path: "${dataset}" }
scores: [${scores}]
circuits: { thresholds: [0.001, 0.1], variants: [all] }
experiments:
  - { name: top, grid: { K: [1, 5] }, ablate: { kind: feature, at: -1, top: $K }, beside: sum(atp) }
  - { name: rest, keep: { kind: [feature, error], where: "abs >= 0.01" }, complement: true }
`;

type Run = "own" | "same" | "plain";
const runs = {} as Record<Run, { folder: string; planned: PlannedRun }>;
const rowsOf = async (run: Run, name: string): Promise<ParquetRow[]> =>
  (await readParquet(runPaths(runs[run].folder).artifact(name))).rows;
let model: SplicedModel;

beforeAll(async () => {
  const plain = readFileSync(PAIRS, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, string>)
    .map((row) => ({
      prompt: row["clean_prefix"],
      true_answer: row["clean_answer"],
      false_answer: row["patch_answer"],
    }));
  writeFileSync(PLAIN, plain.map((row) => `${JSON.stringify(row)}\n`).join(""));
  model = await goldenSpliced();
  runs.own = await runPipeline(sweepOf(PAIRS, "{ name: atp, method: atp }"), TINY_A, model);
  writeRunFile(runs.own.folder, { ...readRunFile(runs.own.folder), status: "complete" });
  const from = `{ name: atp, from: "${runs.own.folder}" }`;
  runs.same = await runPipeline(sweepOf(PAIRS, from), TINY_A, model);
  runs.plain = await runPipeline(sweepOf(PLAIN, from), TINY_A, model);
});
afterAll(() => {
  model.dispose();
});

describe("scores from a run", () => {
  it("are the bytes of that run, its means too, and no stage computes them", async () => {
    for (const name of ["scores-atp.safetensors", "means.safetensors"])
      expect(await readArtifact(runs.plain.folder, name)).toEqual(await readArtifact(runs.own.folder, name));
    expect(runs.plain.planned.plan.stages.map(({ id }) => id)).toEqual(["sets", "circuits"]);
  });

  it("give the circuits of that run on its own pairs, bit by bit", async () => {
    for (const name of ["sets.parquet", "circuits.parquet", "circuits-prompts.parquet"])
      expect(await rowsOf("same", name), name).toEqual(await rowsOf("own", name));
  });

  it("give the same circuits on plain prompts, evaluated on these", async () => {
    expect(await rowsOf("plain", "sets.parquet")).toEqual(await rowsOf("own", "sets.parquet"));
    const columns = ["circuit", "prompt", "metric_circuit", "metric_complement", "metric_full", "metric_empty"];
    const clean = (await rowsOf("own", "circuits-prompts.parquet")).filter((row) => row["side"] === "clean");
    const plain = await rowsOf("plain", "circuits-prompts.parquet");
    expect(plain.length).toBe(clean.length);
    expect(new Set(plain.map((row) => row["metric_circuit"])).size).toBeGreaterThan(20);
    for (const column of columns) {
      const [found, expected] = [plain, clean].map((rows) => rows.map((row) => row[column]));
      // Blocks hold the corrupted side beside these: bits are the same where a backend sums each row alone.
      if (TEST_BACKEND === "wasm" || typeof expected?.[0] !== "number") expect(found, column).toEqual(expected);
      else {
        // Without a complement both have none.
        expect(found?.map(Number.isNaN), column).toEqual(expected.map(Number.isNaN));
        const known = (values: readonly unknown[] = []): number[] => values.map(Number).filter(Number.isFinite);
        expect(known(found), column).toBeAllclose(known(expected));
      }
    }
  });

  it("are named in the plan by hash, in run.json by folder, and in what goes by them", async () => {
    const { folder, planned } = runs.plain;
    const { planHash } = runs.own.planned;
    expect(planned.plan.borrowed?.plan).toBe(planHash);
    expect(JSON.stringify(planned.plan)).not.toContain(runs.own.folder);
    expect(planned.plan.sweep.scores).toEqual([{ name: "atp", method: "atp", from: planHash }]);
    expect(readRunFile(folder).inputs.from).toEqual({
      path: runs.own.folder,
      plan_hash: planHash,
      shared_prompts: runs.own.planned.plan.prompts.length,
    });
    expect((await readParquet(runPaths(folder).artifact("circuits.parquet"))).metadata["from"]).toBe(planHash);
  });
});
