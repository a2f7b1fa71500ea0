/**
 * @file How far the engine's float32 lies from an independent float64 implementation:
 * `node bench/precision/precision-bench.js --backends wasm,torch`.
 *
 * 1. A sweep measures every error node and every feature of the golden fixture, as `patchbay run` does it.
 * 2. Per prompt effects and mean scores are compared with the fixture's, which were computed in float64 by other code.
 * 3. Beside it stands the run's own numeric floor: the same effects with another block shape. Where a backend sums each row alone, that
 *    is 0 by construction, and says nothing of rounding.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { decodeParquet } from "../../dist/artifacts/parquet.js";
import { pearson } from "../../dist/stats/correlation.js";
import { readSafetensorsFile } from "../../dist/weights/safetensors.js";
import { round } from "../figures.js";
import { machineFacts, RESULTS_OPTION, writeResults } from "../results.js";

const { values: flags } = parseArgs({
  options: {
    backends: { type: "string", default: "wasm" },
    name: { type: "string", default: "precision" },
    results: RESULTS_OPTION,
  },
});
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const FIXTURE = join(ROOT, "test", "fixtures", "tiny-a");
const SWEEP = {
  name: "precision",
  model: { path: join(FIXTURE, "model") },
  saes: { path: join(FIXTURE, "saes") },
  dataset: { path: join(FIXTURE, "data", "pairs.jsonl") },
  scores: ["atp", "ig"].map((method) => ({ name: method, method })),
  truth: { positions: "all", errors: {}, features: "all" },
};
const SCORES = SWEEP.scores.map(({ name }) => name);

const folder = mkdtempSync(join(tmpdir(), "patchbay-precision-"));
const results = [];
for (const backend of flags.backends.split(",")) results.push(...(await measure(backend)));
console.table(results);
writeResults(flags.results, flags.name, { machine: machineFacts(), results });

/** Runs the sweep on a backend. @returns a row for each quantity. */
async function measure(backend) {
  const [sweep, out] = [join(folder, `${backend}.json`), join(folder, backend)];
  writeFileSync(sweep, JSON.stringify(SWEEP));
  const patchbay = join(ROOT, "bin", "patchbay.js");
  const { status } = spawnSync(process.execPath, [patchbay, "run", sweep, "--out", out, "--backend", backend, "--fresh"], { stdio: "inherit" }); // prettier-ignore
  if (status !== 0) throw new Error(`patchbay run --backend ${backend} ended with ${String(status)}`);
  const artifact = (name) => join(out, "artifacts", name);
  const { rows } = await decodeParquet(readFileSync(artifact("truth.parquet")));
  const { reliability } = JSON.parse(readFileSync(artifact("validation.json"), "utf8"));
  const rowOf = (quantity, pairs, floors) => ({ backend, quantity, ...compared(pairs), floor: floors });
  const floorOf = (kind) => Math.max(...reliability.filter((one) => one.kind === kind).map(({ numeric }) => numeric.max_abs_difference)); // prettier-ignore
  return [
    rowOf("effects of errors", await effectPairs(rows, "error", "truth-errors"), floorOf("error")),
    rowOf("effects of features", await effectPairs(rows, "feature", "truth-features"), floorOf("feature")),
    ...(await Promise.all(SCORES.map(async (name) => rowOf(`mean scores, ${name}`, await scorePairs(artifact, name), null)))), // prettier-ignore
  ];
}

/** Ours beside the fixture's, of every row that the fixture has: it has the features of its first five prompts. */
async function effectPairs(rows, kind, file) {
  const expected = await goldenOf(file);
  return rows.flatMap((row) => {
    if (row["kind"] !== kind) return [];
    const { values, shape } = expected.get(`${row["hook"]}.effect`);
    const [prompts, ...inner] = shape;
    if (row["prompt"] >= prompts) return [];
    const [T, F = 1] = inner;
    const index = (row["prompt"] * T + row["position"]) * F + Math.max(0, row["feature"]);
    return [[row["effect"], values[index]]];
  });
}

async function scorePairs(artifact, name) {
  const { arrays } = await readSafetensorsFile(artifact(`scores-${name}.safetensors`));
  const expected = await goldenOf(`scores-${name}`);
  return [...arrays].flatMap(([key, { values }]) =>
    key.endsWith(".sem")
      ? []
      : Array.from({ length: values.length }, (_, i) => [values[i], expected.get(key).values[i]].map(Number)),
  );
}

async function goldenOf(name) {
  return (await readSafetensorsFile(join(FIXTURE, "expected", `${name}.safetensors`))).arrays;
}

function compared(pairs) {
  const [ours, theirs] = [0, 1].map((side) => Float64Array.from(pairs, (pair) => pair[side]));
  const largest = pairs.reduce((most, [, value]) => Math.max(most, Math.abs(value)), 0);
  const difference = pairs.reduce((most, [a, b]) => Math.max(most, Math.abs(a - b)), 0);
  return { n: pairs.length, largest: round(largest), difference: round(difference), "1 - r": round(1 - pearson(ours, theirs)) }; // prettier-ignore
}
