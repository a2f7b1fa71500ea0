/** @file Circuits without SAEs: heads, neurons, attn_z and mlp_out against whole forward passes with the definition's replacement. */
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { captureRun } from "./capture-run.js";
import { computeCircuits, type AblationValues } from "../../src/experiments/circuits/circuits.js";
import { spliceModel, type SplicedModel } from "../../src/passes/spliced-model.js";
import { must } from "../../src/base/assert.js";
import { createRng, type Rng } from "../../src/base/rng.js";
import { ABLATED, LIVE, RESTORED, type Intervention } from "../../src/nodes/intervention.js";
import { emptyIntervention, interventionOf, uniformSite, type CircuitSite } from "../../src/nodes/node-states.js";
import { SIDES, type Side } from "../../src/nodes/prompt.js";
import { siteHook, SITES, sitesOfLayers, type SiteAt } from "../../src/nodes/site.js";
import { siteWidth } from "../../src/families/family.js";
import { loadAnswers } from "../../src/model/metric.js";
import { type ReadArtifact, readArtifact } from "../../src/run/artifacts.js";
import { decodeParquet } from "../../src/artifacts/parquet.js";
import { goldenPrompts, goldenModel, TINY_A } from "./golden.js";
import { GOLDEN_LAYERS, GOLDEN_LENGTH as T } from "./golden-sites.js";
import { naiveMetric, naiveSites } from "./naive-forward.js";
import { runPipeline } from "./pipeline.js";
import { expectSameInAnyBlock } from "./test-backend.js";
import { readMeans } from "../../src/artifacts/means-file.js";
import { readScoreMeans } from "../../src/artifacts/scores-file.js";

const prompts = goldenPrompts("pairs").slice(0, 4);
const donors = goldenPrompts("pairs").slice(7, 7 + prompts.length);
const ROWS = 2 * prompts.length;
const ZERO: AblationValues = { kind: "zero" };

let spliced: SplicedModel;
let sites: readonly CircuitSite[];
let heads: number;
beforeAll(async () => {
  const model = await goldenModel();
  spliced = spliceModel(model, []);
  heads = model.config.nHeads;
  sites = sitesOfLayers(SITES, GOLDEN_LAYERS)
    .filter(({ site }) => site !== "resid_post")
    .map((at) => {
      if (at.site === "mlp_post") return { ...at, kind: "neuron", slices: model.config.dMlp };
      // Odd layers take attn_z whole.
      return at.site === "attn_z" && at.layer % 2 === 0
        ? { ...at, kind: "head", slices: heads }
        : { ...at, kind: "site", slices: 1 };
    });
});
afterAll(() => {
  spliced.dispose();
});

const widthOf = (at: SiteAt): number => siteWidth(at, spliced.model.config);

/** Random states with the given weights of live, ablated, restored; every fifth site is left alone. */
function randomIntervention(rng: Rng, weights: readonly [number, number, number]): Intervention {
  return interventionOf(sites, (at) => {
    if (rng.uniform() < 0.2) return undefined;
    const slices = uniformSite(at, T, LIVE).slices.map(() => {
      const u = rng.uniform() * (weights[0] + weights[1] + weights[2]);
      return u < weights[0] ? LIVE : u < weights[0] + weights[1] ? ABLATED : RESTORED;
    });
    return { features: new Uint8Array(0), errors: new Uint8Array(0), slices };
  });
}

/** Means of every site, for longer prompts than these. */
function someMeans(rng: Rng): AblationValues {
  const array = (at: SiteAt): Float32Array => Float32Array.from({ length: (T + 2) * widthOf(at) }, () => rng.normal());
  return {
    kind: "mean",
    means: { features: new Map(), errors: new Map(), sites: new Map(sites.map((at) => [siteHook(at), array(at)])) },
  };
}

/** One row by the definition: every slice of every site is copied from the run that its state names. */
async function naiveCircuit(
  intervention: Intervention,
  values: AblationValues,
  index: number,
  side: Side,
): Promise<number> {
  const prompt = must(prompts[index], "prompt");
  const ownRun = await naiveSites(spliced.model, prompt, side);
  const donor = await naiveSites(spliced.model, must(donors[index], "donor"), side);
  const metric = await naiveMetric(spliced.model, prompt, side, "max", (at, x_TD) => {
    const states = intervention.get(siteHook(at))?.slices;
    if (states === undefined) return x_TD;
    const key = `${at.site}.${String(at.layer)}`;
    const D = widthOf(at);
    const sliceWidth = (T * D) / states.length;
    const [live, own, other] = [x_TD, must(ownRun.get(key), key), must(donor.get(key), key)].map((x) => x.dataSync());
    const means = values.kind === "mean" ? must(values.means.sites.get(siteHook(at)), "means") : null;
    const changed = Float32Array.from({ length: T * D }, (_, i) => {
      const state = states[Math.floor(i / sliceWidth)];
      if (state === LIVE) return live?.[i] ?? NaN;
      if (state === RESTORED) return own?.[i] ?? NaN;
      return values.kind === "zero" ? 0 : ((values.kind === "mean" ? means?.[i] : other?.[i]) ?? NaN);
    });
    return tf.tensor2d(changed, [T, D]);
  });
  tf.dispose([...ownRun.values(), ...donor.values()]);
  return metric;
}

const run = async (
  interventions: readonly Intervention[],
  values: AblationValues,
  rowsPerBlock = 1000,
): Promise<Float64Array> =>
  (await computeCircuits(spliced, prompts, { reduce: "max", interventions, ablation: values, rowsPerBlock })).metric;

describe("circuit evaluation without SAEs", () => {
  it.each(["mean", "zero", "resample"] as const)(
    "gives what whole forward passes by the definition give (%s)",
    async (kind) => {
      const rng = createRng(17, kind);
      const values: AblationValues =
        kind === "mean" ? someMeans(rng) : kind === "resample" ? { kind, donors } : { kind };
      const mixes = [
        [1, 1, 1],
        [0.9, 0.1, 0],
        [0, 1, 0],
        [0.5, 0, 0.5],
      ] as const;
      const interventions = mixes.map((weights) => randomIntervention(rng, weights));
      const metric = await run(interventions, values, 2 * ROWS);
      for (const [e, intervention] of interventions.entries())
        for (const [s, side] of SIDES.entries())
          for (const index of prompts.keys()) {
            const expected = await naiveCircuit(intervention, values, index, side);
            const row = e * ROWS + s * prompts.length + index;
            expect(Math.abs(must(metric[row], "row") - expected)).toBeLessThan(5e-5);
          }
    },
  );

  it("is the plain forward pass, bit for bit on wasm, where every slice is live", async () => {
    const answers = await loadAnswers(spliced.model.embedding, prompts, "max");
    const runs = [
      await captureRun(spliced.model, prompts, "clean", answers),
      await captureRun(spliced.model, prompts, "corrupted", answers),
    ];
    const live: Intervention = new Map(sites.map((at) => [siteHook(at), uniformSite(at, T, LIVE)]));
    const one = must(sites[0], "site");
    const barely = uniformSite(one, T, LIVE);
    barely.slices[0] = RESTORED;
    const restored: Intervention = new Map([[siteHook(one), barely]]);
    const metric = await run([live, emptyIntervention(sites, T), restored], ZERO);
    const plain = runs.flatMap((each) => [...each.metric]);
    expectSameInAnyBlock(metric.subarray(0, ROWS), plain);
    expectSameInAnyBlock(metric.subarray(2 * ROWS), plain);
    for (const each of runs) each.dispose();
    answers.dispose();
  });

  it("does not depend on the block: on wasm the same bits for 1, 7 and all rows at once", async () => {
    const rng = createRng(19, "blocks");
    const interventions = [randomIntervention(rng, [1, 1, 0.2]), randomIntervention(rng, [0.1, 1, 0])];
    const whole = await run(interventions, { kind: "resample", donors }, 100_000);
    for (const rowsPerBlock of [1, 7])
      expectSameInAnyBlock(await run(interventions, { kind: "resample", donors }, rowsPerBlock), whole);
  });

  it("goes on from the unablated run with the bits of a run of its own, from any layer and position on", async () => {
    const rng = createRng(29, "late");
    const late = Array.from({ length: 6 }, (_, i): Intervention => {
      const [layer, position] = [i % spliced.model.config.nLayers, 1 + (i % (T - 1))];
      const from = (states: Uint8Array): Uint8Array =>
        states.map((state, at) => (at < (position * states.length) / T ? LIVE : state));
      const changed = [...randomIntervention(rng, [1, 1, 0])].map(([hook, site]) => [hook, { ...site, slices: from(site.slices) }] as const); // prettier-ignore
      return new Map(changed.filter(([hook]) => sites.some((at) => siteHook(at) === hook && at.layer >= layer)));
    });
    for (const values of [ZERO, { kind: "resample", donors } as const])
      for (const rowsPerBlock of [3, 1000]) {
        const together = await run(late, values, rowsPerBlock);
        // Alone, an evaluation spares less than an unablated run takes: it runs from the first layer.
        for (const [e, one] of late.entries())
          expectSameInAnyBlock(await run([one], values, rowsPerBlock), together.subarray(e * ROWS, (e + 1) * ROWS));
      }
  });

  it("leaks no tensors", async () => {
    const intervention = randomIntervention(createRng(23), [1, 1, 1]);
    await expect(() => run([intervention, new Map()], { kind: "resample", donors }, 7)).toLeakNoTensors();
  });
});

/** Enough that full model and empty circuit are told apart. */
const PAIRS = 12;

const SWEEP = `name: sites
model: { path: model }
dataset: { path: data/pairs.jsonl, limit: ${String(PAIRS)} }
scores: [{ name: atp, method: atp }, { name: relp, method: relp }, { name: ig, method: ig, steps: 2 }]
`;

/** Runs a circuit sweep without SAEs and gives its rows and artifacts. */
async function sweepRows(circuits: string): Promise<{
  rows: Record<string, unknown>[];
  read: ReadArtifact;
}> {
  const { folder } = await runPipeline(`${SWEEP}circuits: ${circuits}\n`, TINY_A, spliced);
  const read: ReadArtifact = (name) => readArtifact(folder, name);
  return { rows: (await decodeParquet(await read("circuits.parquet"))).rows, read };
}

describe("a circuit sweep without SAEs", () => {
  it.each([
    ["sites", "atp", "mean"],
    ["heads", "relp", "zero"],
    ["heads", "ig", "resample"],
    ["neurons", "atp", "mean"],
    ["neurons", "ig", "resample"],
  ])(
    "over %s ranked by %s, %s ablation: from the empty to the full model as the threshold falls",
    async (...options) => {
      const [nodes, scores, ablation] = options as ["sites" | "heads" | "neurons", string, string];
      const { rows, read } = await sweepRows(
        `{ nodes: ${nodes}, scores: ${scores}, ablation: ${ablation}, thresholds: [0, 1.0e-2, 1.0e9] }`,
      );
      expect(rows.map(({ variant }) => variant)).toEqual(["all", "all", "all"]);
      const inLayer = { sites: 2, heads: 1 + heads, neurons: spliced.model.config.dMlp }[nodes];
      const all = T * GOLDEN_LAYERS * must(inLayer, nodes);
      const sizes = rows.map((row) => Number(row["n_sites"]) + Number(row["n_heads"]) + Number(row["n_neurons"]));
      expect([sizes[0], sizes[2]]).toEqual([all, 0]);
      const nodeScores = (await readScoreMeans(read, scores)).slices;
      const tails = {
        sites: ["attn.hook_z", "hook_mlp_out"],
        heads: ["attn.hook_z.heads", "hook_mlp_out"],
        neurons: ["mlp.hook_post"],
      }[nodes];
      const strong = [...nodeScores]
        .filter(([hook]) => tails.some((tail) => hook.replace(/^blocks\.\d+\./, "") === tail))
        .flatMap(([, values]) => [...values].filter((value) => Math.abs(value) >= 1e-2));
      expect(sizes[1]).toBe(strong.length);
      expect(strong.length).toBeGreaterThan(5);
      expect(Number(rows[0]?.["faithfulness"])).toBeCloseTo(1, 5);
      expect(Number(rows[2]?.["faithfulness"])).toBeCloseTo(0, 5);
      expect(Number(rows[2]?.["completeness"])).toBeCloseTo(1, 5);
      expect(rows.map((row) => Number(row["n_features"]) + Number(row["n_errors_other"]))).toEqual([0, 0, 0]);
    },
  );

  it.each([
    ["mlp_out", "sites", 3],
    ["mlp_post", "neurons", 4],
  ] as const)("ablates to the mean activation over clean and corrupted runs (%s)", async (site, nodes, inLayer) => {
    const { read } = await sweepRows(`{ nodes: ${nodes}, thresholds: [1.0e-2] }`);
    const { sites: means } = await readMeans(read);
    const at = { site, layer: 1 } as const;
    const pairs = goldenPrompts("pairs").slice(0, PAIRS);
    const sum = new Float64Array(T * widthOf(at));
    for (const prompt of pairs)
      for (const side of SIDES) {
        const runSites = await naiveSites(spliced.model, prompt, side);
        const x = must(runSites.get(`${site}.1`), "site").dataSync();
        for (let i = 0; i < sum.length; i++) sum[i] = must(sum[i], "sum") + must(x[i], "value");
        tf.dispose([...runSites.values()]);
      }
    const expected = sum.map((total) => total / (2 * pairs.length));
    expect(must(means.get(siteHook(at)), "means")).toBeAllclose(expected, { rtol: 1e-5, atol: 1e-6 });
    expect(means.size).toBe(inLayer * GOLDEN_LAYERS);
  });
});
