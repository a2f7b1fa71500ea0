import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { readParquet } from "../../src/artifacts/parquet.js";
import { readSafetensorsFile } from "../../src/weights/safetensors.js";
import { artifactHashes, patchbay } from "../cluster/command.js";
import { TINY_A } from "../numeric/golden.js";
import { TEST_BACKEND } from "../numeric/test-backend.js";

const SWEEP = `name: on-native
model: { path: ${TINY_A}/model }
saes: { path: ${TINY_A}/saes }
dataset: { path: ${TINY_A}/data/pairs-mixed-lengths.jsonl, limit: 4 }
engine: { block_mib: 12, threads: 1 }
scores: [{ name: atp, method: atp }]
means: true
truth: { positions: [all], errors: {} }
circuits: { thresholds: { log10: [-3, -1], count: 3 } }
`;

const folder = mkdtempSync(join(tmpdir(), "patchbay-native-"));
const artifact = (run: string, name: string): string => join(folder, run, "artifacts", name);

/** Runs the sweep with the command as users have it; nothing comes from the run beside it. */
async function run(name: string, ...flags: readonly string[]): Promise<void> {
  const sweep = join(folder, "sweep.yaml");
  writeFileSync(sweep, SWEEP);
  const { code, stderr } = await patchbay(["run", sweep, "--out", join(folder, name), "--fresh", ...flags]);
  expect([code, stderr]).toEqual([0, ""]);
}

const runJson = (name: string): Record<string, unknown> =>
  JSON.parse(readFileSync(join(folder, name, "run.json"), "utf8")) as Record<string, unknown>;

/** Equal up to rounding; a ratio that is undefined on one backend, NaN, is undefined on the other. */
function expectAllclose(actual: readonly number[], expected: readonly number[], name: string): void {
  expect(actual.map(Number.isNaN), `${name}: undefined`).toEqual(expected.map(Number.isNaN));
  const isDefined = (value: number): boolean => !Number.isNaN(value);
  expect(actual.filter(isDefined), name).toBeAllclose(expected.filter(isDefined), { atol: 2e-5 });
}

describe(`patchbay run on ${TEST_BACKEND}`, () => {
  beforeAll(async () => {
    await run("native", "--backend", TEST_BACKEND, "--workers", "1");
    await run("wasm", "--backend", "wasm", "--workers", "1");
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  it("gives wasm's scores and effects up to rounding", async () => {
    const scores = (name: string) => readSafetensorsFile(artifact(name, "scores-atp.safetensors"));
    const [native, wasm] = [await scores("native"), await scores("wasm")];
    expect([...native.arrays.keys()]).toEqual([...wasm.arrays.keys()]);
    const numbers = (arrays: typeof wasm.arrays, name: string): Float32Array =>
      Float32Array.from(must(arrays.get(name), name).values as Float32Array, (value) =>
        Number.isNaN(value) ? 0 : value,
      );
    for (const name of wasm.arrays.keys())
      expect(numbers(native.arrays, name), name).toBeAllclose(numbers(wasm.arrays, name), { atol: 1e-6 });
    for (const table of ["truth.parquet", "circuits.parquet"]) {
      const [actual, expected] = [
        await readParquet(artifact("native", table)),
        await readParquet(artifact("wasm", table)),
      ];
      for (const [column, value] of Object.entries(must(expected.rows[0], "row"))) {
        const [a, b] = [actual, expected].map(({ rows }) => rows.map((row) => row[column]));
        if (typeof value !== "number" || Number.isInteger(value)) continue;
        expectAllclose(a as number[], b as number[], `${table}: ${column}`);
      }
    }
  });

  it("gives the same bytes with two workers, when the threads are fixed", async () => {
    await run("two", "--backend", TEST_BACKEND, "--workers", "2");
    expect(artifactHashes(join(folder, "two"))).toEqual(artifactHashes(join(folder, "native")));
  });

  it("is named in run.json with its device, and why it was taken", () => {
    const device = expect.stringMatching(/^(cpu|cuda) \((libtorch|TensorFlow) \d/) as string;
    expect(runJson("native")).toMatchObject({
      fingerprints: { backend: TEST_BACKEND, device, threads: 1 },
      backend_reason: `--backend ${TEST_BACKEND}: ${TEST_BACKEND} loads here`,
    });
    expect(runJson("wasm")).toMatchObject({ fingerprints: { backend: "wasm", device: "cpu" } });
  });
});
