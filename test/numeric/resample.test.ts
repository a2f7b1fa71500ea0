/** @file Resample ablation on data of one direction, from the sweep to the artifact. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { openSpliced } from "../../src/attribution/spliced-model.js";
import { runPaths } from "../../src/plan/run-folder.js";
import { type ParquetRow } from "../../src/report/artifact-rows.js";
import { readParquet } from "../../src/reduce/parquet.js";
import { openCheckpoint } from "../../src/weights/checkpoint.js";
import { findSaes } from "../../src/weights/sae-folder.js";
import { matricesFor } from "../../src/worker/backends/torch-matrices.js";
import { startBackend } from "../../src/worker/backends/start-backend.js";
import { runPipeline } from "./pipeline.js";
import { TEST_BACKEND } from "./test-backend.js";

const DATA = resolve("data");
const ROWS = 24;

const SWEEP = `name: one-direction
model: { path: ${DATA}/tiny-gemma2 }
saes: { path: ${DATA}/tiny-gemma2/saes }
dataset: { path: pairs.jsonl }
circuits: { thresholds: [0.001, 0.1], ablation: resample, variants: [all] }
`;

/** Rows of the agreement set whose clean subject is singular. */
function singular(): string {
  const lines = readFileSync(`${DATA}/agreement/rc.test.jsonl`, "utf8").trimEnd().split("\n");
  const rows = lines.filter((line) => (JSON.parse(line) as { case: string }).case.startsWith("singular"));
  return `${rows.slice(0, ROWS).join("\n")}\n`;
}

describe("resample ablation on data of one direction", () => {
  const base = mkdtempSync(join(tmpdir(), "patchbay-resample-"));
  let circuits: readonly ParquetRow[] = [];

  beforeAll(async () => {
    await startBackend(TEST_BACKEND);
    writeFileSync(join(base, "pairs.jsonl"), singular());
    const checkpoint = await openCheckpoint(`${DATA}/tiny-gemma2`);
    const saes = await findSaes(`${DATA}/tiny-gemma2/saes`, checkpoint.config, {});
    const model = await openSpliced(checkpoint, saes, Infinity, matricesFor("float32"));
    const { folder } = await runPipeline(SWEEP, base, model);
    model.dispose();
    await checkpoint.close();
    ({ rows: circuits } = await readParquet(runPaths(folder).artifact("circuits.parquet")));
  });
  afterAll(() => {
    rmSync(base, { recursive: true, force: true });
  });

  it("takes the metric away where everything is ablated, so that circuits have something to recover", () => {
    expect(circuits).toHaveLength(2);
    const [wide, narrow] = circuits.map((row) => Number(row["faithfulness"]));
    for (const row of circuits)
      expect(Math.abs(Number(row["metric_empty"]))).toBeLessThan(0.2 * Number(row["metric_full"]));
    expect(must(wide, "circuit")).toBeGreaterThan(0.8);
    expect(must(wide, "circuit")).toBeLessThan(1.2);
    expect(must(narrow, "circuit")).toBeLessThan(must(wide, "circuit"));
  });
});
