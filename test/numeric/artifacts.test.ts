/** @file The artifacts of a whole run against the golden values: what a user reads, not what a function returns. */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { parseNodeHook } from "../../src/nodes/node.js";
import { siteHook } from "../../src/nodes/site.js";
import { runPaths } from "../../src/run/run-folder.js";
import { readParquet } from "../../src/artifacts/parquet.js";
import { readSafetensorsFile } from "../../src/weights/safetensors.js";
import { goldenArrays, goldenJson, goldenSpliced, TINY_A } from "./golden.js";
import { runPipeline } from "./pipeline.js";

const SWEEP = (thresholds: readonly number[]): string => `name: golden
model: { path: model }
saes: { path: saes }
dataset: { path: data/pairs.jsonl }
scores:
  - { name: atp, method: atp }
  - { name: zero, method: zero }
  - { name: ig, method: ig }
means: true
truth:
  positions: [all, global]
  errors: {}
  features: { top: 20, random: 20 }
  whole_sites: { sites: [resid_post], layers: [1] }
circuits: { thresholds: [${thresholds.join(", ")}], keep: signed }
`;

interface Entry {
  readonly keep: string;
  readonly ablation: string;
  readonly exempt_early_layers: boolean;
  readonly variant: string;
  readonly threshold: number;
  readonly metric_circuit: number;
  readonly metric_full: number;
  readonly metric_complement: number;
  readonly faithfulness: number;
  readonly completeness: number;
  readonly n_features: number;
  readonly n_errors_resid: number;
  readonly n_errors_other: number;
}

let folder = "";
const entries = (goldenJson("circuits") as { entries: Entry[] }).entries;
const thresholds = (goldenJson("circuits") as { thresholds: number[] }).thresholds;

beforeAll(async () => {
  const model = await goldenSpliced();
  ({ folder } = await runPipeline(SWEEP(thresholds), TINY_A, model));
  model.dispose();
});

const artifact = (name: string): string => runPaths(folder).artifact(name);

describe("artifacts of a golden run", () => {
  it.each(["atp", "zero", "ig"])("hold the %s scores with their standard errors", async (name) => {
    const golden = await goldenArrays(`scores-${name}`);
    const { arrays } = await readSafetensorsFile(artifact(`scores-${name}.safetensors`));
    for (const key of golden.keys) {
      const found = must(arrays.get(key), key);
      expect(found.shape, key).toEqual(golden.shape(key));
      expect(found.values as Float32Array, key).toBeAllclose(golden.get(key));
    }
    expect(golden.keys.length).toBeGreaterThan(20);
  });

  it("hold the means", async () => {
    const golden = await goldenArrays("means");
    const { arrays } = await readSafetensorsFile(artifact("means.safetensors"));
    expect([...arrays.keys()].sort()).toEqual([...golden.keys].sort());
    for (const key of golden.keys)
      expect(must(arrays.get(key), key).values as Float32Array, key).toBeAllclose(golden.get(key));
  });

  it("hold the components", async () => {
    const golden = await goldenArrays("components");
    const { rows } = await readParquet(artifact("components.parquet"));
    for (const key of golden.keys) {
      const [, hook, part] = must(/^(.*)\.(delta_norm|grad_norm|cosine|dot)$/.exec(key), key);
      const found = rows.filter((row) => row["hook"] === hook).map((row) => Number(row[must(part, "part")]));
      expect(found, key).toBeAllclose(golden.get(key));
    }
  });

  it("hold the true effect of every error node, at positions and globally, per prompt and as means", async () => {
    const golden = await goldenArrays("truth-errors");
    const { rows } = await readParquet(artifact("truth.parquet"));
    const { rows: nodes } = await readParquet(artifact("validation.parquet"));
    const hooks = golden.keys.filter((key) => key.endsWith(".effect")).map((key) => key.slice(0, -".effect".length));
    expect(hooks).toHaveLength(12);
    for (const hook of hooks) {
      const local = rows.filter((row) => row["hook"] === hook && row["global"] === false);
      const effects = golden.get(`${hook}.effect`);
      const length = effects.length / 24;
      expect(local).toHaveLength(effects.length);
      const ordered = new Float64Array(effects.length);
      for (const row of local)
        ordered[Number(row["prompt"]) * length + Number(row["position"])] = Number(row["effect"]);
      expect(ordered, hook).toBeAllclose(effects);
      const global = rows
        .filter((row) => row["hook"] === hook && row["global"] === true)
        .map((row) => Number(row["effect"]));
      expect(global, hook).toBeAllclose(golden.get(`${hook}.global_effect`));
      const means = nodes.filter((row) => row["hook"] === hook && row["global"] === false);
      expect(
        means.map((row) => Number(row["effect"])),
        hook,
      ).toBeAllclose(golden.get(`${hook}.effect_mean`));
      expect(
        means.map((row) => Number(row["normalised"])),
        hook,
      ).toBeAllclose(golden.get(`${hook}.normalised`));
      expect(
        means.map((row) => Number(row["normalised_mean"])),
        hook,
      ).toBeAllclose(golden.get(`${hook}.normalised_mean`));
    }
  });

  it("hold the true effect of every listed feature, exactly 0 where nothing differs", async () => {
    const golden = await goldenArrays("truth-features");
    const { rows } = await readParquet(artifact("validation.parquet"));
    const features = rows.filter((row) => row["kind"] === "feature" && row["global"] === false);
    expect(features.length).toBeGreaterThan(300);
    for (const row of features) {
      const expected = golden.get(`${String(row["hook"])}.effect_mean`)[
        Number(row["position"]) * 128 + Number(row["feature"])
      ];
      expect(Math.abs(Number(row["effect"]) - must(expected, "effect"))).toBeLessThan(2e-5);
    }
    const { rows: truth } = await readParquet(artifact("truth.parquet"));
    const still = truth.filter((row) => row["kind"] === "error" && Number(row["position"]) === 0);
    expect(still.length).toBe(12 * 24);
    expect(still.every((row) => row["effect"] === 0 && row["atp"] === 0)).toBe(true);
  });

  it("say of each row whether a forward pass gave its effect: exactly where the prompt's activation differs and reaches the answer", async () => {
    const { rows } = await readParquet(artifact("truth.parquet"));
    // AtP is the activation's difference times its gradient: the scores stage knows by itself where either is 0.
    const disagreeing = rows.filter((row) => row["kind"] !== "site" && row["ran"] !== (row["atp"] !== 0));
    expect(disagreeing).toEqual([]);
    const skipped = rows.filter((row) => row["ran"] === false);
    expect(skipped.filter((row) => row["effect"] !== 0 || row["metric_patched"] !== row["metric_clean"])).toEqual([]);
    const nodeOf = (row: Record<string, unknown>): string => `${String(row["hook"])} ${String(row["position"])} ${String(row["feature"])}`; // prettier-ignore
    const run = new Set(rows.filter((row) => row["ran"] === true).map(nodeOf));
    const partly = new Set(skipped.map(nodeOf).filter((node) => run.has(node)));
    expect([run.size > 100, partly.size > 100]).toEqual([true, true]);
  });

  it("say that the whole residual stream at all positions was run: the corrupted run is that pass", async () => {
    const { rows } = await readParquet(artifact("truth.parquet"));
    const whole = rows.filter((row) => row["kind"] === "site" && row["global"] === true);
    expect(whole).toHaveLength(24);
    expect(whole.every((row) => row["ran"] === true && row["metric_patched"] === row["metric_corrupted"])).toBe(true);
  });

  it("carry each prompt's score beside its effect", async () => {
    const golden = await goldenArrays("scores-atp-prompts");
    const { rows } = await readParquet(artifact("truth.parquet"));
    let compared = 0;
    for (const row of rows) {
      if (Number(row["prompt"]) > 2 || row["global"] === true || row["kind"] === "site") continue;
      const at = must(parseNodeHook(String(row["hook"])), "hook");
      const width = at.kind === "feature" ? 128 : 1;
      const index =
        (Number(row["prompt"]) * 7 + Number(row["position"])) * width +
        (at.kind === "feature" ? Number(row["feature"]) : 0);
      const expected = must(golden.get(String(row["hook"]))[index], "score");
      expect(Math.abs(Number(row["atp"]) - expected), siteHook(at)).toBeLessThan(2e-5);
      compared++;
    }
    expect(compared).toBeGreaterThan(1000);
  });

  it("hold validation statistics that agree with the golden ones for error nodes", () => {
    const golden = goldenJson("validation") as Record<string, Record<string, number>>;
    const { groups, reliability } = JSON.parse(readFileSync(artifact("validation.json"), "utf8")) as {
      groups: ({
        score: string;
        kind: string;
        site: string;
        position: number | null;
        global: boolean;
        n: number;
      } & Record<string, { value: number; low: number; high: number }>)[];
      reliability: { numeric: { max_abs_difference: number; n: number } | null }[];
    };
    for (const [name, expected] of Object.entries(golden)) {
      const [kind, site, position] = name.split("/");
      if (kind !== "error") continue;
      const at = position === undefined ? null : Number(position.replace("position ", ""));
      const found = must(
        groups.find(
          (one) => one.score === "atp" && one.kind === kind && one.site === site && one.position === at && !one.global,
        ),
        name,
      );
      expect(found.n, name).toBe(expected["n"]);
      for (const key of ["pearson", "spearman", "kendall", "sign_agreement", "slope", "intercept"]) {
        expect(Math.abs(must(found[key], key).value - must(expected[key], key)), `${name} ${key}`).toBeLessThan(2e-3);
      }
    }
    for (const { numeric } of reliability) {
      if (numeric === null) continue;
      expect(numeric.n).toBeGreaterThan(0);
      expect(numeric.max_abs_difference).toBeLessThan(1e-5);
    }
  });

  it("hold circuits with their counts and both definitions", async () => {
    const { rows } = await readParquet(artifact("circuits.parquet"));
    expect(rows).toHaveLength(3 * thresholds.length);
    for (const row of rows) {
      const golden = must(
        entries.find(
          (one) =>
            one.keep === "signed" &&
            one.ablation === "mean" &&
            !one.exempt_early_layers &&
            one.variant === row["variant"] &&
            one.threshold === row["threshold"],
        ),
        "entry",
      );
      for (const key of ["n_features", "n_errors_resid", "n_errors_other"] as const)
        expect(row[key], key).toBe(golden[key]);
      for (const key of [
        "metric_circuit",
        "metric_full",
        "metric_complement",
        "faithfulness",
        "completeness",
      ] as const) {
        expect(Math.abs(Number(row[key]) - golden[key]), `${String(row["circuit"])} ${key}`).toBeLessThan(4e-4);
      }
      expect(Math.abs(Number(row["metric_empty"]))).toBeLessThan(1e-5);
      expect(Number(row["faithfulness_low"])).toBeLessThanOrEqual(Number(row["faithfulness"]));
      expect(Number(row["faithfulness_high"])).toBeGreaterThanOrEqual(Number(row["faithfulness"]));
    }
  });
});
