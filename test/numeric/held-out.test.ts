/** @file Held-out rows: what rows choose is what they choose alone, and what is measured is what the other rows show alone. */
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { readParquet, type ParquetRow } from "../../src/artifacts/parquet.js";
import { readArtifact } from "../../src/run/artifacts.js";
import { readSafetensorsFile } from "../../src/weights/safetensors.js";
import { runPaths } from "../../src/run/run-folder.js";
import type { SplicedModel } from "../../src/passes/spliced-model.js";
import { goldenSpliced, TINY_A } from "./golden.js";
import { runPipeline } from "./pipeline.js";
import { TEST_BACKEND } from "./test-backend.js";

const DATA = mkdtempSync(join(tmpdir(), "patchbay-held-out-"));
const LINES = readFileSync(resolve(TINY_A, "data/pairs.jsonl"), "utf8").trimEnd().split("\n");
/** Two pairs more choose than are evaluated, so that numbers cannot agree by chance. */
const FILES = { select: LINES.slice(0, 10), evaluate: LINES.slice(10, 18) };
const PATHS = { select: join(DATA, "select.jsonl"), evaluate: join(DATA, "evaluate.jsonl") };

const sweep = (dataset: string): string => `name: held-out
model: { path: model }
saes: { path: saes }
dataset: ${dataset}
scores: [{ name: atp, method: atp }]
truth: { positions: [2, -1], errors: {}, features: { top: 3, random: 3 } }
circuits: { thresholds: [0.001, 0.1], variants: [all] }
experiments: [{ name: resampled, ablation: resample, ablate: { nodes: [blocks.1.hook_mlp_out.hook_sae_error] } }]
`;

const RUNS = ["both", "select", "evaluate"] as const;
type Run = (typeof RUNS)[number];
const folders: Record<Run, string> = { both: "", select: "", evaluate: "" };
const artifact = (run: Run, name: string): string => runPaths(folders[run]).artifact(name);
const rowsOf = async (run: Run, name: string): Promise<ParquetRow[]> => (await readParquet(artifact(run, name))).rows;
let model: SplicedModel;

beforeAll(async () => {
  for (const use of ["select", "evaluate"] as const) writeFileSync(PATHS[use], `${FILES[use].join("\n")}\n`);
  model = await goldenSpliced();
  const run = async (dataset: string): Promise<string> => (await runPipeline(sweep(dataset), TINY_A, model)).folder;
  folders.both = await run(`{ select: { path: "${PATHS.select}" }, evaluate: { path: "${PATHS.evaluate}" } }`);
  folders.select = await run(`{ path: "${PATHS.select}" }`);
  folders.evaluate = await run(`{ path: "${PATHS.evaluate}" }`);
});
afterAll(() => {
  model.dispose();
});

describe("a run with held-out rows", () => {
  it.each(["means", "scores-atp"])("has the %s of the rows that choose, bit by bit", async (name) => {
    const read = async (run: Run) => (await readSafetensorsFile(artifact(run, `${name}.safetensors`))).arrays;
    const [own, alone, others] = [await read("both"), await read("select"), await read("evaluate")];
    let differs = false;
    for (const [key, { values }] of alone) {
      expect(own.get(key)?.values, key).toEqual(values);
      differs ||= JSON.stringify(others.get(key)?.values) !== JSON.stringify(values);
    }
    expect(differs).toBe(true);
  });

  it("measures the nodes that these rows choose", async () => {
    const [own, alone, others] = await Promise.all(RUNS.map((run) => rowsOf(run, "nodes.parquet")));
    expect(own).toEqual(alone);
    expect(own).not.toEqual(others);
  });

  it("has the effects and scores of the other rows", async () => {
    const keyOf = (row: ParquetRow): string => [row["hook"], row["position"], row["feature"], row["prompt"]].join(" ");
    const own = new Map((await rowsOf("both", "truth.parquet")).map((row) => [keyOf(row), row]));
    const shared = (await rowsOf("evaluate", "truth.parquet")).filter((row) => own.has(keyOf(row)));
    // All error nodes, and features that both choose.
    expect(shared.length).toBeGreaterThan(24 * 8);
    // Blocks hold other nodes beside these: bits are the same where a backend sums each row alone.
    for (const column of ["metric_clean", "metric_corrupted", "metric_patched", "effect", "atp"]) {
      const [found, expected] = [
        shared.map((row) => Number(own.get(keyOf(row))?.[column])),
        shared.map((row) => Number(row[column])),
      ];
      if (TEST_BACKEND === "wasm") expect(found, column).toEqual(expected);
      else expect(found, column).toBeAllclose(expected);
    }
    expect([...new Set([...own.values()].map((row) => row["prompt"]))].sort()).toEqual(FILES.evaluate.map((_, i) => i));
  });

  it("keeps the nodes that the choosing rows keep in its circuits, and judges them by the others", async () => {
    const found = await Promise.all(RUNS.map((run) => rowsOf(run, "circuits.parquet")));
    const [own, alone, others] = found.map((rows) => (name: string) => rows.map((row) => row[name]));
    expect(own?.("n_features")).toEqual(alone?.("n_features"));
    expect(own?.("metric_full")).toEqual(others?.("metric_full"));
    const [first] = must(own, "own")("metric_circuit");
    expect(first).not.toBe(others?.("metric_circuit")[0]);
    expect(first).not.toBe(alone?.("metric_circuit")[0]);
    // Donors are drawn among the evaluated rows.
    expect(own?.("metric_circuit").at(-1)).toBe(others?.("metric_circuit").at(-1));
    const prompts = new Set((await rowsOf("both", "circuits-prompts.parquet")).map((row) => row["prompt"]));
    expect(prompts.size).toBe(FILES.evaluate.length);
  });

  it("says what each prompt was for, and how many a table speaks of", async () => {
    const { rows, metadata } = await readParquet(artifact("both", "prompts.parquet"));
    expect(rows.map((row) => [row["use"], row["dataset"]])).toEqual([
      ...FILES.evaluate.map(() => ["evaluate", "evaluate.jsonl"]),
      ...FILES.select.map(() => ["select", "select.jsonl"]),
    ]);
    expect(metadata["n"]).toBe("8");
    expect((await readSafetensorsFile(artifact("both", "means.safetensors"))).metadata["n"]).toBe("10");
    const validation = JSON.parse(
      Buffer.from(await readArtifact(folders.both, "validation.json")).toString(),
    ) as object;
    expect(validation).toMatchObject({ prompts: 8 });
  });
});
