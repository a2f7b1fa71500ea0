/** @file A whole sweep that splits errors, against the golden values: what a user reads of both parts. */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { readParquet, type ParquetRow } from "../../src/artifacts/parquet.js";
import { errorFit } from "../../src/experiments/error-fit/index.js";
import { METHODS } from "../../src/methods/registry.js";
import { isPartKind, NODE_KINDS } from "../../src/nodes/kinds.js";
import { nodeHook } from "../../src/nodes/node.js";
import { siteHook } from "../../src/nodes/site.js";
import { readRunContents } from "../../src/report/run-contents.js";
import { runPaths } from "../../src/run/run-folder.js";
import { readSafetensorsFile } from "../../src/weights/safetensors.js";
import { goldenArrays, goldenSpliced, TINY_A } from "./golden.js";
import { GOLDEN_LENGTH as T, GOLDEN_SITES } from "./golden-sites.js";
import { runPipeline } from "./pipeline.js";

const PARTS = NODE_KINDS.filter(isPartKind);
const [PROMPTS, PATCHED, FITTED] = [12, 6, 24];
const HOOK = "blocks.2.hook_resid_post.hook_sae_error";

const SWEEP = `name: parts
model: { path: model }
saes: { path: saes }
dataset: { path: data/pairs.jsonl, limit: ${String(PROMPTS)} }
fit: { path: data/pairs.jsonl }
scores: [{ name: atp, method: atp }, { name: zero, method: zero }]
truth: { nodes: [{ kind: error_linear }, { kind: error_nonlinear }] }
experiments:
  - { name: error, ablate: { nodes: [${HOOK}], positions: [-1] } }
  - { name: parts, ablate: { nodes: [${HOOK}_linear, ${HOOK}_nonlinear], positions: [-1] } }
  - { name: linear, ablation: zero, ablate: { nodes: [${HOOK}_linear] }, restore: { nodes: [${HOOK}_nonlinear] } }
`;

let folder = "";
let planHash = "";
beforeAll(async () => {
  const model = await goldenSpliced();
  const run = await runPipeline(SWEEP, TINY_A, model);
  ({ folder } = run);
  ({ planHash } = run.planned);
  model.dispose();
});

const artifact = (name: string): string => runPaths(folder).artifact(name);

describe("a run that splits errors", () => {
  it("holds the fit of each site, with its dataset and penalty", async () => {
    const { rows } = await readParquet(artifact("error-fit.parquet"));
    expect(rows.map((row) => row["hook"])).toEqual(GOLDEN_SITES.map(siteHook));
    for (const row of rows) {
      expect(row["n"]).toBe(2 * FITTED * (T - 1));
      expect(Number(row["explained"])).toBeGreaterThan(0.1);
      const hook = String(row["hook"]);
      const { arrays, metadata } = await readSafetensorsFile(artifact(`error-fit-${hook}.safetensors`));
      const [D = 0] = must(arrays.get(`${hook}.b`), "b").shape;
      expect(must(arrays.get(`${hook}.A`), "A").shape).toEqual([D, D]);
      expect(metadata).toMatchObject({ plan_hash: planHash, n: String(FITTED), ridge: "0.001" });
      expect(metadata["fit"]).toBe(metadata["dataset"]); // The sweep names one file twice.
    }
  });

  it("holds their scores, as means over prompts with standard errors", async () => {
    const golden = await goldenArrays("error-parts");
    const { arrays } = await readSafetensorsFile(artifact("scores-atp.safetensors"));
    for (const kind of PARTS)
      for (const at of GOLDEN_SITES) {
        const hook = nodeHook(at, kind);
        const { shape, values } = must(arrays.get(hook), hook);
        const all = golden.get(hook);
        const means = Array.from(
          { length: T },
          (_, t) => all.filter((_, i) => i % T === t).reduce((sum, value) => sum + value, 0) / PROMPTS,
        );
        expect(shape).toEqual([T]);
        expect(values as Float32Array, hook).toBeAllclose(means, { rtol: 0, atol: 5e-5 });
        expect(arrays.has(`${hook}.sem`)).toBe(true);
      }
    const { arrays: zero } = await readSafetensorsFile(artifact("scores-zero.safetensors"));
    expect([...zero.keys()].sort()).toEqual([...arrays.keys()].sort());
  });

  it("holds their true effects beside their scores, prompt by prompt", async () => {
    const golden = await goldenArrays("error-parts");
    const { rows } = await readParquet(artifact("truth.parquet"));
    expect(rows).toHaveLength(PARTS.length * GOLDEN_SITES.length * T * PROMPTS);
    for (const row of rows) {
      const [hook, at] = [String(row["hook"]), Number(row["prompt"]) * T + Number(row["position"])];
      expect(row["kind"]).toBe(hook.endsWith("_nonlinear") ? "error_nonlinear" : "error_linear");
      expect(Math.abs(Number(row["atp"]) - must(golden.get(hook)[at], "score")), hook).toBeLessThan(5e-5);
      if (Number(row["prompt"]) >= PATCHED) continue;
      expect(Math.abs(Number(row["effect"]) - must(golden.get(`${hook}.effect`)[at], "effect")), hook).toBeLessThan(
        5e-5,
      );
    }
  });

  it("compares them like every other kind, with a numeric noise floor", () => {
    const { groups, reliability } = JSON.parse(readFileSync(artifact("validation.json"), "utf8")) as {
      groups: { kind: string; score: string; n: number }[];
      reliability: { kind: string; numeric: object | null }[];
    };
    expect(new Set(groups.map(({ kind }) => kind))).toEqual(new Set(PARTS));
    expect(reliability.filter(({ numeric }) => numeric !== null).map(({ kind }) => kind)).toEqual(
      expect.arrayContaining([...PARTS]),
    );
  });

  it("ablates both parts to their means as the error to its mean, and either alone to something else", async () => {
    const { rows } = await readParquet(artifact("circuits.parquet"));
    const of = (name: string): ParquetRow =>
      must(
        rows.find((row) => row["circuit"] === name),
        name,
      );
    const metric = (name: string): number => Number(of(name)["metric_circuit"]);
    expect(Math.abs(metric("parts") - metric("error"))).toBeLessThan(2e-5);
    expect(Math.abs(metric("linear") - metric("error"))).toBeGreaterThan(1e-3);
    const counts = (name: string): unknown[] => ["nodes_ablated", "nodes_restored"].map((column) => of(name)[column]);
    expect([counts("error"), counts("parts"), counts("linear")]).toEqual([
      [1, 0],
      [2, 0],
      [T, T],
    ]);
    expect(of("parts")["n_errors_resid"]).toBe(4 * T); // An error of which parts are ablated is live as a whole.
  });

  it("is reported site by site", async () => {
    const part = await (await errorFit.report?.())?.reportPart(await readRunContents(METHODS, folder));
    const [section] = part?.sections ?? [];
    expect(JSON.stringify(section?.body)).toContain(siteHook(must(GOLDEN_SITES[0], "site")));
    expect(part?.tables["error-fit"]?.rows).toHaveLength(GOLDEN_SITES.length);
  });
});
