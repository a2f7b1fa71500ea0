/** @file Circuits chosen on pairs and evaluated on plain prompts: workers get the scores of the finished run from the coordinator. */
import { existsSync, mkdtempSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { readParquet } from "../../src/artifacts/parquet.js";
import { runPaths } from "../../src/run/run-folder.js";
import { artifactHashes, patchbay } from "./command.js";

const WORLD = fileURLToPath(new URL("../fixtures/tiny-a", import.meta.url));
const FOLDER = mkdtempSync(join(tmpdir(), "patchbay-borrowed-"));
const [PAIRS, PLAIN] = [join(FOLDER, "pairs"), join(FOLDER, "plain")];

const sweepOf = (dataset: string, rest: string): string => `name: ${dataset}
model: { path: ${WORLD}/model }
saes: { path: ${WORLD}/saes }
dataset: { path: ${WORLD}/data/${dataset}.jsonl, limit: 6 }
${rest}`;

async function run(text: string, out: string): Promise<{ code: number | null; stderr: string }> {
  const sweep = join(FOLDER, "sweep.yaml");
  writeFileSync(sweep, text);
  return patchbay(["run", sweep, "--out", out, "--workers", "2", "--backend", "wasm"]);
}

test("circuits by the scores of a run are made of its nodes, in several processes, and say whose scores they go by", async () => {
  const scores = "scores: [{ name: atp, method: atp }]\nmeans: true\n";
  const circuits = "circuits: { thresholds: [0.001, 0.1], variants: [all] }\n";
  expect(await run(sweepOf("pairs", scores + circuits), PAIRS)).toMatchObject({ code: 0 });
  // The path is relative to the sweep's folder.
  const plain = sweepOf("plain", `scores: [{ name: atp, from: pairs }]\n${circuits}`);
  expect(await run(plain, PLAIN)).toMatchObject({ code: 0 });
  const [own, lent] = [artifactHashes(PLAIN), artifactHashes(PAIRS)];
  for (const name of ["scores-atp.safetensors", "means.safetensors"]) expect(own[name]).toBe(lent[name]);
  const sizes = async (folder: string): Promise<unknown[]> =>
    (await readParquet(runPaths(folder).artifact("circuits.parquet"))).rows.map((row) => row["n_features"]);
  expect(await sizes(PLAIN)).toEqual(await sizes(PAIRS));
  const report = readFileSync(runPaths(PLAIN).report, "utf8");
  expect(report).toMatch(
    /The run pairs \(plan [0-9a-f]{8}\) chose nodes and means\. (All|\d) of these prompts are among/,
  );
  expect(report).not.toContain("The same prompts chose");

  truncateSync(runPaths(PLAIN).artifact("means.safetensors"), 3);
  expect(await run(plain, PLAIN)).toMatchObject({ code: 0 });
  expect(artifactHashes(PLAIN)).toEqual(own);

  truncateSync(runPaths(PAIRS).artifact("means.safetensors"), 3);
  const refused = await run(plain, join(FOLDER, "refused"));
  expect(refused.code).toBe(2);
  expect(refused.stderr).toMatch(/sweep\.yaml:5: scores\[0\]\.from: .*means\.safetensors: expected sha256/);
  expect(existsSync(join(FOLDER, "refused"))).toBe(false);
});
