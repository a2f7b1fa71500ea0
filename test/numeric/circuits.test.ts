import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { resolveConfiguration, type CustomConfiguration } from "../../src/nodes/custom-configuration.js";
import type { Intervention } from "../../src/nodes/intervention.js";
import { emptyIntervention } from "../../src/nodes/node-states.js";
import { interventionFromScores, type Keep, type NodeScores, type Variant } from "../../src/nodes/selection.js";
import { nodeHook } from "../../src/nodes/node.js";
import { siteHook } from "../../src/nodes/site.js";
import { computeCircuits, type AblationValues } from "../../src/experiments/circuits/circuits.js";
import type { SplicedModel } from "../../src/passes/spliced-model.js";
import { goldenArrays, goldenJson, goldenPrompts, goldenSpliced } from "./golden.js";
import { GOLDEN_LENGTH as T, GOLDEN_SITES } from "./golden-sites.js";

interface Entry {
  readonly keep: Keep;
  readonly ablation: "mean" | "zero";
  readonly exempt_early_layers: boolean;
  readonly variant: Variant;
  readonly threshold: number;
  readonly n_features: number;
  readonly n_errors_resid: number;
  readonly n_errors_other: number;
  readonly not_ablated: object;
  readonly metric_circuit: number;
  readonly metric_complement: number;
}

const prompts = goldenPrompts("pairs");
const ROWS = 2 * prompts.length;
const golden = goldenJson("circuits") as { early_layers: number; entries: Entry[] };

async function goldenScores(): Promise<NodeScores> {
  const scores = await goldenArrays("scores-atp");
  return {
    features: new Map(GOLDEN_SITES.map((at) => [siteHook(at), scores.get(nodeHook(at, "feature"))])),
    errors: new Map(GOLDEN_SITES.map((at) => [siteHook(at), scores.get(nodeHook(at, "error"))])),
    slices: new Map(),
  };
}

async function goldenMeans(): Promise<AblationValues> {
  const means = await goldenArrays("means");
  return {
    kind: "mean",
    means: {
      features: new Map(
        GOLDEN_SITES.map((at) => [siteHook(at), Float32Array.from(means.get(nodeHook(at, "feature")))]),
      ),
      errors: new Map(GOLDEN_SITES.map((at) => [siteHook(at), Float32Array.from(means.get(nodeHook(at, "error")))])),
      sites: new Map(),
    },
  };
}

/** The evaluator's sign: good is positive on clean and on corrupted rows. */
function evaluated(metric: Float64Array, evaluation: number): number[] {
  return Array.from(
    { length: ROWS },
    (_, row) => (row < prompts.length ? -1 : 1) * must(metric[evaluation * ROWS + row], "row"),
  );
}

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

let spliced: SplicedModel;
let means: AblationValues;
let scores: NodeScores;
beforeAll(async () => {
  spliced = await goldenSpliced();
  means = await goldenMeans();
  scores = await goldenScores();
});
afterAll(() => {
  spliced.dispose();
});

function chosen(entry: Entry): ReturnType<typeof interventionFromScores> {
  const { threshold, keep, variant, exempt_early_layers: exempt } = entry;
  const exemptLayers = exempt ? golden.early_layers : 0;
  return interventionFromScores({ sites: GOLDEN_SITES, positions: T, scores, threshold, keep, variant, exemptLayers });
}

const run = async (
  interventions: readonly Intervention[],
  ablation: AblationValues,
  rowsPerBlock = 4 * ROWS,
): Promise<Float64Array> =>
  (await computeCircuits(spliced, prompts, { reduce: "max", interventions, ablation, rowsPerBlock })).metric;

describe("circuits of the reference", () => {
  it("keep as many nodes as it, before and after the exemption", () => {
    for (const entry of golden.entries) {
      const { counts, notAblated } = chosen(entry);
      const { nFeatures, nErrorsResid, nErrorsOther } = counts;
      expect([nFeatures, nErrorsResid, nErrorsOther]).toEqual([
        entry.n_features,
        entry.n_errors_resid,
        entry.n_errors_other,
      ]);
      const { nFeatures: n_features, nErrorsResid: n_errors_resid, nErrorsOther: n_errors_other } = notAblated;
      expect({ n_features, n_errors_resid, n_errors_other }).toEqual(entry.not_ablated);
    }
  });

  it.each(["mean", "zero"] as const)(
    "have its metrics under %s ablation, complement and row by row",
    async (ablation) => {
      const expected = await goldenArrays("circuits-prompts");
      const indexes = golden.entries.flatMap((entry, i) => (entry.ablation === ablation ? [i] : []));
      const pairs = indexes.map((i) => chosen(must(golden.entries[i], "entry")));
      const values = ablation === "mean" ? means : { kind: "zero" as const };
      const metric = await run(
        pairs.flatMap(({ circuit, complement }) => [circuit, complement]),
        values,
      );
      let flipped = 0;
      for (const [n, i] of indexes.entries())
        for (const [side, key] of (["metric_circuit", "metric_complement"] as const).entries()) {
          const rows = evaluated(metric, 2 * n + side);
          const reference = [...expected.get(key).subarray(i * ROWS, (i + 1) * ROWS)];
          const off = rows.map((value, row) => Math.abs(value - must(reference[row], "row")));
          const flips = off.filter((difference) => difference > 1e-4);
          flipped += flips.length;
          expect(Math.max(0, ...flips)).toBeLessThan(0.02);
          expect(Math.abs(mean(rows) - must(golden.entries[i], "entry")[key])).toBeLessThan(
            flips.length > 0 ? 5e-4 : 2e-5,
          );
        }
      expect(flipped).toBeLessThanOrEqual((2 * indexes.length * ROWS) / 1000);
    },
  );

  it("leave the same empty circuit and the same full model", async () => {
    const expected = await goldenArrays("circuits-prompts");
    const empties = [0, golden.early_layers].map((exempt) => emptyIntervention(GOLDEN_SITES, T, exempt));
    for (const [name, values] of [
      ["mean", means],
      ["zero", { kind: "zero" }],
    ] as const) {
      const metric = await run([new Map(), ...empties], values);
      expect(evaluated(metric, 0)).toBeAllclose(expected.get("metric_full"));
      expect(evaluated(metric, 1)).toBeAllclose(expected.get(`metric_empty.${name}.all`));
      expect(evaluated(metric, 2)).toBeAllclose(expected.get(`metric_empty.${name}.exempt`));
      expect(Math.abs(mean(evaluated(metric, 1)))).toBeLessThan(1e-12);
    }
  });

  it("and its custom configurations have its counts and metrics", async () => {
    const cases = goldenJson("custom-configurations") as (CustomConfiguration & {
      ablation: "mean" | "zero";
      nodes_ablated: number;
      nodes_restored: number;
      nodes_named_by_both: number;
      metric_circuit: number;
      metric_circuit_per_prompt: number[];
    })[];
    for (const one of cases) {
      const { intervention, nodesAblated, nodesRestored, nodesNamedByBoth } = resolveConfiguration(
        one,
        GOLDEN_SITES,
        T,
        scores,
      );
      expect([nodesAblated, nodesRestored, nodesNamedByBoth]).toEqual([
        one.nodes_ablated,
        one.nodes_restored,
        one.nodes_named_by_both,
      ]);
      const rows = evaluated(await run([intervention], one.ablation === "mean" ? means : { kind: "zero" }), 0);
      expect(rows).toBeAllclose(one.metric_circuit_per_prompt, { atol: 1e-4 });
      expect(Math.abs(mean(rows) - one.metric_circuit)).toBeLessThan(2e-5);
    }
  });
});
