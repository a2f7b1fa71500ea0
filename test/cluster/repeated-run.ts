/** @file One sweep on the backend that a vitest project names, run as a user would, for tests that compare the bytes of its artifacts. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { must } from "../../src/base/assert.js";
import { TEST_BACKEND } from "../numeric/test-backend.js";
import { artifactHashes, isAlive, listedProcesses, patchbay, recordCount, runFile, start, until } from "./command.js";

/** The model, SAEs and pairs of the sweep. */
export const TINY_A = fileURLToPath(new URL("../fixtures/tiny-a", import.meta.url));
/** A folder of this test file's own. */
export const scratch = mkdtempSync(join(tmpdir(), "patchbay-run-"));
/** The sweep file. */
export const sweep = join(scratch, "sweep.yaml");

writeFileSync(
  sweep,
  `name: repeat
model: { path: ${TINY_A}/model }
saes: { path: ${TINY_A}/saes }
dataset: { path: ${TINY_A}/data/pairs-mixed-lengths.jsonl }
engine: { block_mib: 6, threads: 1 }
scores: [{ name: atp, method: atp }, { name: ig, method: ig }]
means: true
fit: { path: ${TINY_A}/data/pairs.jsonl, limit: 8 }
truth: { positions: [all, global], errors: {}, features: { top: 12, random: 12 }, nodes: [{ kind: error_linear, at: -1 }] }
circuits: { thresholds: { log10: [-4, -1], count: 6 } }
`,
);

/** Folder of a run. */
export const out = (name: string): string => join(scratch, name);

/** The command that runs the sweep into a folder, with further options. */
export const runOf = (name: string, ...options: string[]): string[] => [
  "run",
  sweep,
  "--out",
  out(name),
  "--backend",
  TEST_BACKEND,
  "--fresh",
  ...options,
];

/** Runs the sweep undisturbed, with one worker. @returns SHA-256 of every artifact. */
export async function undisturbedRun(name: string): Promise<Record<string, string>> {
  const ended = await patchbay(runOf(name, "--workers", "1"));
  expect(ended.stderr).toBe("");
  expect(ended.code).toBe(0);
  const hashes = artifactHashes(out(name));
  expect(Object.keys(hashes)).toEqual(
    expect.arrayContaining([
      "circuits.parquet",
      "error-fit.parquet",
      "nodes.parquet",
      "scores-atp.safetensors",
      "truth.parquet",
      "validation.json",
    ]),
  );
  return hashes;
}

/** The run is complete, and its artifacts are these. */
export function expectComplete(name: string, expected: Record<string, string>): void {
  expect(runFile(out(name)).status).toBe("complete");
  expect(artifactHashes(out(name))).toEqual(expected);
}

/** Kills the process of a role once the run has begun to record and is not near its end. */
export async function killMidRun(
  name: string,
  role: "coordinator" | "worker" | "engine",
): Promise<{ pid: number; records: number }> {
  const { counts } = await until("run.json", () => (recordCount(out(name)) > 0 ? runFile(out(name)) : undefined));
  const victim = await until(`a ${role}`, () => listedProcesses(out(name)).find((one) => one.role === role));
  const records = recordCount(out(name));
  expect(records).toBeLessThan(must(counts["shards"], "shards"));
  process.kill(victim.pid, "SIGKILL");
  await until("the victim's end", () => (isAlive(victim.pid) ? undefined : true));
  return { pid: victim.pid, records };
}

/** Kills the engine of a run's one worker in the middle: that costs a shard an attempt, and no artifact a byte. */
export async function expectEngineKilled(name: string, expected: Record<string, string>): Promise<void> {
  // One worker: its engine has made the records that are there. One that dies while it loads costs no shard anything.
  const run = start(runOf(name, "--workers", "1"));
  await killMidRun(name, "engine");
  expect((await run.ended).code).toBe(0);
  expect(runFile(out(name)).counts["retries"]).toBeGreaterThan(0);
  expectComplete(name, expected);
}
