/** @file `dataset.where`: rows kept by what a finished run measured of them, through the command, and everything that is refused. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readParquet, type ParquetRow } from "../../src/artifacts/parquet.js";
import { PatchbayError } from "../../src/base/errors.js";
import { REGISTER } from "../../src/experiments/registry.js";
import { planSweep, type PlannedRun } from "../../src/plan/make-plan.js";
import { readRunFile, runPaths, writeRunFile } from "../../src/run/run-folder.js";
import { patchbay } from "./command.js";

const WORLD = fileURLToPath(new URL("../fixtures/tiny-a", import.meta.url));
const HEAD = `model: { path: ${join(WORLD, "model")} }\nsaes: { path: ${join(WORLD, "saes")} }\n`;
const DATA = join(WORLD, "data/pairs.jsonl");

let folder = "";
const out = (name: string): string => join(folder, name);

async function run(name: string, text: string): Promise<void> {
  writeFileSync(out(`${name}.yaml`), `name: ${name}\n${HEAD}${text}`);
  const ended = await patchbay(["run", out(`${name}.yaml`), "--out", out(name), "--backend", "wasm", "--fresh"]);
  expect(ended.stderr).toBe("");
  expect(ended.code).toBe(0);
}

const rowsOf = async (name: string, table: string): Promise<ParquetRow[]> =>
  (await readParquet(runPaths(out(name)).artifact(table))).rows;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "patchbay-filter-"));
  const grid = "grid: { t: [0.001, 0.01, 0.1] }, keep: { where: 'score >= $t' }";
  await run(
    "measured",
    `dataset: { path: ${DATA}, limit: 16 }\ncircuits: { thresholds: [0.01], variants: [all], completeness: false }\nexperiments: [{ name: grid, ${grid} }]\n`,
  );
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

function plan(where: string, dataset = DATA): Promise<PlannedRun> {
  const text = `name: filtered\n${HEAD}dataset:\n  path: ${dataset}\n  where: ${where}\nmeans: true\n`;
  const options = { backend: "wasm", autoThreads: 1 };
  return planSweep(REGISTER.experiments, { text, file: "sweep.yaml", baseFolder: folder }, options);
}

/** Prompts of the run whose rows all hold, by the table itself. */
async function promptsWhere(holds: (row: ParquetRow) => boolean): Promise<number[]> {
  const rows = await rowsOf("measured", "circuits-prompts.parquet");
  const prompts = [...new Set(rows.map((row) => Number(row["prompt"])))];
  return prompts.filter((prompt) => rows.every((row) => row["prompt"] !== prompt || holds(row)));
}

const linesOf = async (prompts: readonly number[]): Promise<number[]> => {
  const rows = await rowsOf("measured", "prompts.parquet");
  return prompts.map((prompt) => Number(rows[prompt]?.["line"]));
};
const keptBy = async (where: string): Promise<number[]> => (await plan(where)).plan.prompts.map(({ line }) => line);

describe("rows that a run measured", () => {
  it("are kept by the full model's metric, on both sides or on one", async () => {
    const middle = 0.4;
    const above = (row: ParquetRow): boolean => Number(row["metric_full"]) > middle;
    const both = await linesOf(await promptsWhere(above));
    const clean = await linesOf(await promptsWhere((row) => row["side"] !== "clean" || above(row)));
    expect(both.length).toBeGreaterThan(0);
    expect(clean.length).toBeGreaterThan(both.length);
    expect(clean.length).toBeLessThan(16);
    expect(await keptBy(`{ from: measured, metric_full: { above: ${String(middle)} } }`)).toEqual(both);
    expect(await keptBy(`{ from: measured, side: clean, metric_full: { above: ${String(middle)} } }`)).toEqual(clean);
  });

  it("are kept by a circuit that an axis names exactly or as the nearest, within two bounds, and by several measures", async () => {
    const within = (row: ParquetRow): boolean =>
      row["circuit"] !== "grid[t=0.01]" || (Number(row["metric_circuit"]) > 0 && Number(row["metric_circuit"]) < 1);
    const expected = await linesOf(await promptsWhere(within));
    expect(expected.length).toBeGreaterThan(0);
    expect(expected.length).toBeLessThan(16);
    const bounds = "experiment: grid, above: 0, below: 1";
    expect(await keptBy(`{ from: measured, metric_circuit: { t: 0.01, ${bounds} } }`)).toEqual(expected);
    expect(await keptBy(`{ from: measured, metric_circuit: { t: nearest 0.02, ${bounds} } }`)).toEqual(expected);
    const faithful = (row: ParquetRow): boolean => {
      const [circuit, full, empty] = ["metric_circuit", "metric_full", "metric_empty"].map((name) => Number(row[name]));
      return row["circuit"] !== "all-00" || ((circuit ?? 0) - (empty ?? 0)) / ((full ?? 0) - (empty ?? 0)) > 0.5;
    };
    const all = await linesOf(await promptsWhere((row) => within(row) && faithful(row)));
    const measures = `metric_circuit: { t: 0.01, ${bounds} }, faithfulness: { circuit: all-00, above: 0.5 }`;
    expect(await keptBy(`{ from: measured, ${measures} }`)).toEqual(all);
  });

  it("are a dataset with provenance: the run, its plan, and what was kept; run by itself it gives the same tables", async () => {
    const filter = "{ from: measured, metric_full: { above: 0.4 } }";
    await run("filtered", `dataset: { path: ${DATA}, where: ${filter} }\ncircuits: { thresholds: [0.01] }\n`);
    const { plan_hash: hash } = readRunFile(out("measured"));
    const { filtered, sweep, counts } = readRunFile(out("filtered"));
    const rows = readFileSync(DATA, "utf8").trimEnd().split("\n");
    expect(filtered).toEqual([
      {
        dataset: "dataset",
        from: out("measured"),
        plan_hash: hash,
        rows: rows.length,
        measured: 16,
        kept: counts.prompts,
      },
    ]);
    expect(sweep["dataset"]).toMatchObject({ where: { from: hash, metric_full: { above: 0.4 } } });
    const kept = readFileSync(runPaths(out("filtered")).artifact("dataset.jsonl"), "utf8");
    const lines = (await rowsOf("filtered", "prompts.parquet")).map((row) => rows[Number(row["line"]) - 1]);
    expect(kept).toBe(`${lines.join("\n")}\n`);
    expect(readFileSync(runPaths(out("filtered")).sums, "utf8")).toContain("artifacts/dataset.jsonl");
    expect(readFileSync(runPaths(out("filtered")).report, "utf8")).toContain("rows that measured evaluated");
    const copy = out("copy.jsonl");
    cpSync(runPaths(out("filtered")).artifact("dataset.jsonl"), copy);
    await run("again", `dataset: { path: ${copy} }\ncircuits: { thresholds: [0.01] }\n`);
    expect(await rowsOf("again", "circuits-prompts.parquet")).toEqual(
      await rowsOf("filtered", "circuits-prompts.parquet"),
    );
  });

  it("change the plan where they are others, and not where the run's folder is elsewhere", async () => {
    const filter = (from: string, above: number): string =>
      `{ from: ${from}, metric_full: { above: ${String(above)} } }`;
    cpSync(out("measured"), out("moved"), { recursive: true });
    const [one, moved, other] = await Promise.all([
      plan(filter("measured", 0.4)),
      plan(filter("moved", 0.4)),
      plan(filter("measured", 0.8)),
    ]);
    expect(moved.planHash).toBe(one.planHash);
    expect(other.planHash).not.toBe(one.planHash);
  });
});

describe("a filter is refused", () => {
  const cases: [string, string, string][] = [
    [
      "a run that is not there",
      "{ from: nowhere, metric_full: { above: 1 } }",
      "dataset.where.from: there is no folder nowhere",
    ],
    [
      "a folder that holds no run",
      "{ from: ., metric_full: { above: 1 } }",
      "dataset.where.from: . is not the folder of a run",
    ],
    [
      "a measure that circuits do not have",
      "{ from: measured, metric_clean: { above: 1 } }",
      "dataset.where.metric_clean: circuits have no measure of this name; they have metric_full",
    ],
    ["no measure", "{ from: measured }", "dataset.where: names no measure"],
    ["no bound", "{ from: measured, metric_full: { circuit: all-00 } }", "dataset.where.metric_full: says no bound"],
    [
      "several circuits that differ",
      "{ from: measured, metric_circuit: { above: 0 } }",
      "dataset.where.metric_circuit: 4 circuits differ in it: say which by `circuit`, `experiment` or an axis",
    ],
    [
      "an axis that is none",
      "{ from: measured, metric_circuit: { K: 3, above: 0 } }",
      "dataset.where.metric_circuit.K: circuits.parquet of this run has no such column",
    ],
    [
      "a value that no circuit has",
      "{ from: measured, metric_circuit: { t: 0.5, above: 0 } }",
      "dataset.where.metric_circuit.t: no circuit has this value; there are",
    ],
    [
      "complements that were not evaluated",
      "{ from: measured, metric_complement: { circuit: all-00, above: 0 } }",
      "this run evaluated no complements",
    ],
    [
      "bounds that nothing holds",
      "{ from: measured, metric_full: { above: 1000 } }",
      "dataset.where: keeps none of the 16 rows that the run evaluated",
    ],
  ];
  it.each(cases)("%s", async (_what, where, words) => {
    const thrown = await plan(where).catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(PatchbayError);
    expect((thrown as PatchbayError).message).toContain(words);
    expect((thrown as PatchbayError).message).toContain("sweep.yaml:6");
  });

  it("a run of another dataset, one that is not complete, and one whose table was changed", async () => {
    const filter = (from: string): string => `{ from: ${from}, metric_full: { above: 0.4 } }`;
    const other = out("other.jsonl");
    writeFileSync(other, readFileSync(DATA, "utf8").split("\n").slice(0, 20).join("\n"));
    await expect(plan(filter("measured"), other)).rejects.toThrow(/evaluated rows of other files than/);
    cpSync(out("measured"), out("broken"), { recursive: true });
    writeRunFile(out("broken"), { ...readRunFile(out("broken")), status: "partial" });
    await expect(plan(filter("broken"))).rejects.toThrow(/expected a complete run, and this one is partial/);
    writeRunFile(out("broken"), { ...readRunFile(out("broken")), status: "complete" });
    const table = runPaths(out("broken")).artifact("circuits-prompts.parquet");
    const bytes = readFileSync(table);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    writeFileSync(table, bytes);
    await expect(plan(filter("broken"))).rejects.toMatchObject({ code: "damaged_artifact" });
  });
});
