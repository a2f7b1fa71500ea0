/** @file Resample ablation on data of one direction, from the sweep to the artifact. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { openSpliced } from "../../src/passes/spliced-model.js";
import { runPaths } from "../../src/run/run-folder.js";
import { openCheckpoint } from "../../src/weights/checkpoint.js";
import { findSaes } from "../../src/weights/sae-folder.js";
import { matricesFor } from "../../src/backends/torch-matrices.js";
import { startBackend } from "../../src/backends/start-backend.js";
import { runPipeline } from "./pipeline.js";
import { TEST_BACKEND } from "./test-backend.js";
import { readParquet, type ParquetRow } from "../../src/artifacts/parquet.js";

const DATA = resolve("data");
const ROWS = 24;
const RATIOS = ["faithfulness", "completeness"].flatMap((ratio) => [ratio, `${ratio}_mean`]);

const SWEEP = (method: "atp" | "zero"): string => `name: one-direction
model: { path: ${DATA}/tiny-gemma2 }
saes: { path: ${DATA}/tiny-gemma2/saes }
dataset: { path: ${method}.jsonl }
scores: [{ name: by, method: ${method} }]
circuits: { scores: by, thresholds: [0.001, 0.1], ablation: resample, variants: [all] }
`;

/** Rows of the agreement set whose clean subject is singular. */
function singular(): Record<string, string>[] {
  const lines = readFileSync(`${DATA}/agreement/rc.test.jsonl`, "utf8").trimEnd().split("\n");
  const rows = lines.map((line) => JSON.parse(line) as Record<string, string>);
  return rows.filter((row) => row["case"]?.startsWith("singular")).slice(0, ROWS);
}

const jsonLines = (rows: readonly object[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join("");

describe("resample ablation on data of one direction", () => {
  const base = mkdtempSync(join(tmpdir(), "patchbay-resample-"));

  beforeAll(async () => {
    await startBackend(TEST_BACKEND);
    const pairs = singular();
    const plain = pairs.map((row) => ({
      prompt: row["clean_prefix"],
      true_answer: row["clean_answer"],
      false_answer: row["patch_answer"],
    }));
    writeFileSync(join(base, "atp.jsonl"), jsonLines(pairs));
    writeFileSync(join(base, "zero.jsonl"), jsonLines(plain));
  });
  afterAll(() => {
    rmSync(base, { recursive: true, force: true });
  });

  async function run(method: "atp" | "zero"): Promise<{ circuits: readonly ParquetRow[]; warnings: string[] }> {
    const checkpoint = await openCheckpoint(`${DATA}/tiny-gemma2`);
    const saes = await findSaes(`${DATA}/tiny-gemma2/saes`, checkpoint.config, {});
    const model = await openSpliced(checkpoint, saes, Infinity, matricesFor("float32"));
    const { folder, warnings } = await runPipeline(SWEEP(method), base, model);
    model.dispose();
    await checkpoint.close();
    const { rows } = await readParquet(runPaths(folder).artifact("circuits.parquet"));
    expect(rows).toHaveLength(2);
    return { circuits: rows, warnings };
  }

  it("takes the metric away where everything is ablated, so that circuits have something to recover", async () => {
    const { circuits, warnings } = await run("atp");
    const [wide, narrow] = circuits.map((row) => Number(row["faithfulness"]));
    for (const row of circuits) {
      expect(Math.abs(Number(row["metric_empty"]))).toBeLessThan(0.2 * Number(row["metric_full"]));
      expect(Number(row["denominator"])).toBeCloseTo(Number(row["metric_full"]) - Number(row["metric_empty"]), 12);
      expect(Number(row["denominator_low"])).toBeGreaterThan(0);
      expect(row["undefined_because"]).toBe("");
    }
    expect(must(wide, "circuit")).toBeGreaterThan(0.8);
    expect(must(wide, "circuit")).toBeLessThan(1.2);
    expect(must(narrow, "circuit")).toBeLessThan(must(wide, "circuit"));
    expect(warnings).toEqual([]);
  });

  it("gives no ratio where the donors are of the prompt's own direction, as in a plain dataset, and says why", async () => {
    const { circuits, warnings } = await run("zero");
    for (const row of circuits) {
      expect(Number(row["metric_full"])).toBeGreaterThan(1);
      expect(Number(row["denominator_low"])).toBeLessThanOrEqual(0);
      expect(Number(row["denominator_high"])).toBeGreaterThanOrEqual(0);
      for (const ratio of RATIOS)
        expect([row[ratio], row[`${ratio}_low`], row[`${ratio}_high`]]).toEqual([NaN, NaN, NaN]);
      expect(row["undefined_because"]).toBe("the interval of metric_full - metric_empty holds 0");
    }
    expect(warnings).toEqual([
      expect.stringMatching(/^faithfulness and completeness are undefined for 2 circuits with resample ablation: /),
    ]);
  });
});
