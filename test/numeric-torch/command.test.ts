import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { chooseBackend } from "../../src/cli/environment.js";
import { readParquet } from "../../src/reduce/parquet.js";
import { readSafetensorsFile } from "../../src/weights/safetensors.js";
import { artifactHashes, patchbay } from "../cluster/command.js";
import { TINY_A } from "../numeric/golden.js";

const SWEEP = `name: on-torch
model: { path: ${TINY_A}/model }
saes: { path: ${TINY_A}/saes }
dataset: { path: ${TINY_A}/data/pairs-mixed-lengths.jsonl, limit: 4 }
engine: { block_mib: 4, threads: 1 }
scores: [{ name: atp, method: atp }]
means: true
truth: { positions: [all], errors: {} }
circuits: { thresholds: { log10: [-3, -1], count: 3 } }
`;

const folder = mkdtempSync(join(tmpdir(), "patchbay-torch-"));
const artifact = (run: string, name: string): string => join(folder, run, "artifacts", name);

/** Runs the sweep with the command as users have it. */
async function run(name: string, ...flags: readonly string[]): Promise<void> {
  const sweep = join(folder, "sweep.yaml");
  writeFileSync(sweep, SWEEP);
  const { code, stderr } = await patchbay(["run", sweep, "--out", join(folder, name), ...flags]);
  expect([code, stderr]).toEqual([0, ""]);
}

const runJson = (name: string): Record<string, unknown> =>
  JSON.parse(readFileSync(join(folder, name, "run.json"), "utf8")) as Record<string, unknown>;

describe("patchbay run on torch", () => {
  beforeAll(async () => {
    await run("torch", "--backend", "torch", "--workers", "1");
    await run("wasm", "--backend", "wasm", "--workers", "1");
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  it("gives wasm's scores and effects up to rounding", async () => {
    const scores = (name: string) => readSafetensorsFile(artifact(name, "scores-atp.safetensors"));
    const [torch, wasm] = [await scores("torch"), await scores("wasm")];
    expect([...torch.arrays.keys()]).toEqual([...wasm.arrays.keys()]);
    const numbers = (arrays: typeof wasm.arrays, name: string): Float32Array =>
      Float32Array.from(must(arrays.get(name), name).values as Float32Array, (value) =>
        Number.isNaN(value) ? 0 : value,
      );
    for (const name of wasm.arrays.keys())
      expect(numbers(torch.arrays, name), name).toBeAllclose(numbers(wasm.arrays, name), { atol: 1e-6 });
    for (const table of ["truth.parquet", "circuits.parquet"]) {
      const [actual, expected] = [
        await readParquet(artifact("torch", table)),
        await readParquet(artifact("wasm", table)),
      ];
      for (const [column, value] of Object.entries(must(expected.rows[0], "row"))) {
        const [a, b] = [actual, expected].map(({ rows }) => rows.map((row) => row[column]));
        if (typeof value !== "number" || Number.isInteger(value)) continue;
        expect(a as number[], `${table}: ${column}`).toBeAllclose(b as number[], { atol: 2e-5 });
      }
    }
  });

  it("gives the same bytes with two workers, when the threads are fixed", async () => {
    await run("two", "--backend", "torch", "--workers", "2");
    expect(artifactHashes(join(folder, "two"))).toEqual(artifactHashes(join(folder, "torch")));
  });

  it("is named in run.json with its device, and why it was taken", () => {
    expect(runJson("torch")).toMatchObject({
      fingerprints: { backend: "torch", device: expect.stringMatching(/^cpu \(libtorch \d/) as string, threads: 1 },
      backend_reason: "--backend torch: torch loads here",
    });
    expect(runJson("wasm")).toMatchObject({ fingerprints: { backend: "wasm", device: "cpu" } });
  });
});

describe("--backend auto", () => {
  it("is torch for a model whose matrices are large, wasm for a small one", () => {
    expect(chooseBackend("auto", 2304)).toMatchObject({ backend: "torch", reason: "--backend auto: torch loads here" });
    expect(chooseBackend("auto", 48)).toMatchObject({ backend: "wasm", reason: "--backend auto: the model is small" });
  });
});
