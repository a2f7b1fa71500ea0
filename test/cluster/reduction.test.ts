/**
 * @file The reduction of true effects on records as engines write them: its bytes do not depend on threads and ranges, are those of a table in
 * memory, and it never holds prompts times nodes.
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeRun } from "../../bench/reduction/make-run.js";
import { type ReducedExperiment, reduceStage } from "../../src/artifacts/reduce-stage.js";
import { readTruth } from "../../src/compare/compared-run.js";
import { REGISTER } from "../../src/experiments/registry.js";
import { readNodes } from "../../src/experiments/truth/node-table.js";
import { encodeNodeMeans, encodeTruthRows } from "../../src/experiments/truth/truth-artifact.js";
import { validationReduction, type ValidationLimits } from "../../src/experiments/truth/validation.js";
import { validationStatistics } from "../../src/experiments/truth/validation-artifact.js";
import { readArtifact } from "../../src/run/artifacts.js";
import { environmentOfRun, readPlan, readRunFile, runPaths } from "../../src/run/run-folder.js";

const WRITTEN = ["truth.parquet", "validation.parquet", "validation.json"] as const;
const DIST = fileURLToPath(new URL("../../dist", import.meta.url));
const REDUCE = fileURLToPath(new URL("../../bench/reduction/reduce-run.js", import.meta.url));

let scratch: string;
let records: string;

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), "patchbay-reduction-"));
  records = join(scratch, "records");
  await makeRun(records, { prompts: 50, nodes: 700, scores: 2, clusters: 11, block: 8 });
});

afterAll(() => {
  rmSync(scratch, { recursive: true });
});

/** Reduces a copy of the records. @returns the folder. */
async function reduced(name: string, limits: ValidationLimits): Promise<string> {
  const folder = join(scratch, name);
  cpSync(records, folder, { recursive: true });
  const experiments = REGISTER.experiments.map((experiment): ReducedExperiment => {
    if (experiment.name !== "truth") return experiment;
    const reduction = () => Promise.resolve(validationReduction(REGISTER.methods, limits));
    return { tasks: { ...experiment.tasks, validation: { artifacts: () => WRITTEN, reduction } } };
  });
  await reduceStage(experiments, folder, "validation");
  return folder;
}

const bytesOf = (folder: string): Buffer[] => WRITTEN.map((name) => readFileSync(runPaths(folder).artifact(name)));

test("threads and ranges of nodes change no byte, and what is written is what a table in memory gives", async () => {
  const whole = await reduced("whole", { threads: 1 });
  const [truth, means, statistics] = bytesOf(whole);
  for (const threads of [1, 2]) {
    const cut = bytesOf(await reduced(`cut-${String(threads)}`, { threads, rangeBytes: 1 }));
    expect(cut.map((bytes, i) => bytes.equals(bytesOf(whole)[i] ?? Buffer.alloc(0)))).toEqual([true, true, true]);
  }
  const file = readRunFile(whole);
  const plan = readPlan(whole, file.plan_hash);
  const nodes = await readNodes((name) => readArtifact(whole, name));
  const table = await readTruth({ folder: whole, path: whole, file, plan, nodes, hasCircuits: false });
  const provenance = { plan, planHash: file.plan_hash, environment: environmentOfRun(file), missingPrompts: [] };
  expect(truth?.equals(encodeTruthRows(table, [], provenance))).toBe(true);
  expect(means?.equals(encodeNodeMeans(table, provenance))).toBe(true);
  const said = JSON.parse(String(statistics)) as Record<string, unknown> & { groups: Record<string, unknown>[] };
  const inMemory = JSON.parse(JSON.stringify(validationStatistics(plan, table))) as typeof said;
  expect(said.groups.map(({ score_donor: _donor, ...group }) => group)).toEqual(inMemory.groups);
  expect(said).toMatchObject({ differences: inMemory["differences"], unmeasured: inMemory["unmeasured"] });
});

test("the reduction of more prompts times nodes than fit stays within its bound", async () => {
  const folder = join(scratch, "large");
  await makeRun(folder, { prompts: 8000, nodes: 600, scores: 1, clusters: 40, block: 200, unlisted: 0 });
  const text = execFileSync(process.execPath, [REDUCE, DIST, folder, "validation"], { encoding: "utf8" });
  const { peak_mib: peak } = JSON.parse(text) as { readonly peak_mib: number };
  expect(peak).toBeLessThan(BOUND_MIB);
});

/** Two threads took 600 MiB for 4.8 million cells where this was written, and the reduction that held all of them 1,620. */
const BOUND_MIB = 1024;
