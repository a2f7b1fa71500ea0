/** @file Neurons of MLPs as nodes: against the reference, and against what their definitions say. */
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readParquet } from "../../src/artifacts/parquet.js";
import { must } from "../../src/base/assert.js";
import { readScoreMeans } from "../../src/artifacts/scores-file.js";
import { truthTask } from "../../src/experiments/truth/task.js";
import { computeTruth } from "../../src/experiments/truth/truth.js";
import { loadAnswers } from "../../src/model/metric.js";
import { layerContext } from "../../src/model/model.js";
import { RELP_RULES } from "../../src/model/relp-rules.js";
import { withScope } from "../../src/model/tensor-scope.js";
import { nodeAt, parseNodeHook } from "../../src/nodes/node.js";
import { siteHook, type SiteAt } from "../../src/nodes/site.js";
import { visitGradients } from "../../src/passes/backward.js";
import { runNeurons } from "../../src/passes/neurons.js";
import type { SplicedModel } from "../../src/passes/spliced-model.js";
import { readArtifact } from "../../src/run/artifacts.js";
import { runPaths } from "../../src/run/run-folder.js";
import type { ScoreSpec } from "../../src/sweep/sweep.js";
import { captureRun } from "./capture-run.js";
import { goldenArrays, goldenJson, goldenPrompts, goldenSpliced, TINY_A } from "./golden.js";
import { GOLDEN_LAYERS, GOLDEN_LENGTH as T } from "./golden-sites.js";
import { naiveMetric, naiveSites } from "./naive-forward.js";
import { runPipeline } from "./pipeline.js";
import { computeScores } from "./score-by-name.js";

const prompts = goldenPrompts("pairs").slice(0, 12);
const M = 96;
const score = (method: string, options: object = {}): ScoreSpec => ({
  name: method,
  method,
  neurons: true,
  ...options,
});
const range = (start: number, end: number): number[] => Array.from({ length: end - start }, (_, i) => start + i);
const places: SiteAt[] = Array.from({ length: GOLDEN_LAYERS }, (_, layer) => ({ site: "mlp_post", layer }));

let spliced: SplicedModel;
beforeAll(async () => {
  spliced = await goldenSpliced();
});
afterAll(() => {
  spliced.dispose();
});

describe("neurons agree with the reference", () => {
  it("in AtP of every neuron, prompt by prompt", async () => {
    const expected = await goldenArrays("extra/neurons");
    const { neuron } = await computeScores(spliced, prompts, "max", score("atp"));
    expect(neuron.size).toBe(GOLDEN_LAYERS);
    for (const [hook, values] of neuron) expect(values, hook).toBeAllclose(expected.get(hook));
  });

  it("in the true effects of strong and of random ones", async () => {
    const { neurons } = goldenJson("extra/neurons") as {
      neurons: { layer: number; position: number; neuron: number }[];
    };
    const nodes = neurons.map(({ layer, position, neuron }) =>
      nodeAt("neuron", { site: "mlp_post", layer, position }, neuron),
    );
    const { metricPatched, metricClean } = await computeTruth(spliced, prompts, "max", nodes, 64);
    const effects = Float64Array.from(
      metricPatched,
      (metric, i) => metric - must(metricClean[Math.floor(i / nodes.length)], "metric"),
    );
    expect(effects).toBeAllclose((await goldenArrays("extra/neurons")).get("effect"));
    expect(nodes).toHaveLength(60);
  });
});

describe("scores of neurons", () => {
  it("are computed where they are asked for alone, and leave the others as they are", async () => {
    const [without, asked] = [
      await computeScores(spliced, prompts, "max", { name: "atp", method: "atp" }),
      await computeScores(spliced, prompts, "max", score("atp")),
    ];
    expect(without.neuron.size).toBe(0);
    expect({ ...asked, neuron: new Map() }).toEqual({ ...without, neuron: new Map() });
  });

  it("are the slope of the metric in the neuron, at every layer", async () => {
    const { neuron } = await computeScores(spliced, prompts, "max", score("atp"));
    const prompt = must(prompts[0], "prompt");
    const [clean, corrupted] = [
      await naiveSites(spliced.model, prompt, "clean"),
      await naiveSites(spliced.model, prompt, "corrupted"),
    ];
    for (const at of places) {
      const key = `${at.site}.${String(at.layer)}`;
      const delta = tf.sub(must(corrupted.get(key), key), must(clean.get(key), key)).dataSync();
      const scores = must(neuron.get(siteHook(at)), "scores").subarray(0, T * M);
      const strongest = [...scores.keys()].sort((a, b) => Math.abs(scores[b] ?? 0) - Math.abs(scores[a] ?? 0));
      for (const i of strongest.slice(0, 3)) {
        const moved = (step: number): Promise<number> =>
          naiveMetric(spliced.model, prompt, "clean", "max", ({ site, layer }, x_TD) => {
            if (site !== at.site || layer !== at.layer) return x_TD;
            const one = Float32Array.from({ length: T * M }, (_, j) => (j === i ? step * must(delta[i], "delta") : 0));
            return tf.add(x_TD, tf.tensor2d(one, [T, M]));
          });
        const slope = ((await moved(0.02)) - (await moved(-0.02))) / 0.04;
        expect(Math.abs(slope - must(scores[i], "score")), key).toBeLessThan(5e-4 + 5e-3 * Math.abs(slope));
      }
    }
    tf.dispose([...clean.values(), ...corrupted.values()]);
  });

  it("towards zero are minus the gradient times the clean activation", async () => {
    const { neuron: zero } = await computeScores(spliced, prompts, "max", score("zero"));
    const { neuron: atp } = await computeScores(spliced, prompts, "max", score("atp"));
    for (const [p, prompt] of prompts.slice(0, 3).entries()) {
      const [clean, corrupted] = [
        await naiveSites(spliced.model, prompt, "clean"),
        await naiveSites(spliced.model, prompt, "corrupted"),
      ];
      for (const at of places) {
        const key = `${at.site}.${String(at.layer)}`;
        const [a, b] = [must(clean.get(key), key).dataSync(), must(corrupted.get(key), key).dataSync()];
        const own = (of: ReadonlyMap<string, Float32Array>): Float32Array =>
          must(of.get(siteHook(at)), key).subarray(p * T * M, (p + 1) * T * M);
        const [fromZero, fromAtp] = [own(zero), own(atp)];
        for (let i = 0; i < a.length; i++) {
          const delta = must(b[i], "value") - must(a[i], "value");
          if (Math.abs(delta) < 0.05) continue; // The ratio of two small numbers says nothing.
          const gradient = must(fromAtp[i], "score") / delta;
          expect(Math.abs(must(fromZero[i], "score") + gradient * must(a[i], "value"))).toBeLessThan(2e-5);
        }
      }
      tf.dispose([...clean.values(), ...corrupted.values()]);
    }
  });

  it("by RelP go through the norm after the MLP as through a constant scale", async () => {
    const { model } = spliced;
    const some = prompts.slice(0, 2);
    await withScope(async (own) => {
      const answers = own(await loadAnswers(model.embedding, some, "max"));
      const run = own(await captureRun(model, some, "clean", answers));
      const kept = new Map<string, tf.Tensor>();
      await visitGradients({ model, run, answers, rules: RELP_RULES, withNeurons: true }, (at, gradient_RD) => {
        kept.set(siteHook(at), own(tf.clone(gradient_RD)));
        return Promise.resolve();
      });
      for (const { layer } of places) {
        const { weights, config } = layerContext(model, layer);
        const expected = tf.tidy(() => {
          const y = tf.matMul(runNeurons(model, run, layer), weights.down_MD);
          const scale = tf.rsqrt(tf.add(tf.mean(tf.square(y), 1, true), config.norm.eps));
          const atOutput = must(kept.get(`blocks.${String(layer)}.hook_mlp_out`), "gradient");
          const atProduct = tf.mul(tf.mul(atOutput, scale), must(weights.postMlpGain_D, "gain"));
          return tf.matMul(atProduct, weights.down_MD, false, true);
        });
        const actual = must(kept.get(`blocks.${String(layer)}.mlp.hook_post`), "gradient");
        expect(await actual.data()).toBeAllclose(await own(expected).data(), { rtol: 1e-4, atol: 1e-6 });
      }
    });
  });

  it("by integrated gradients add up, over a layer, to what all its neurons do together", async () => {
    const some = prompts.slice(0, 3);
    // The grid's error falls as 1 / steps: twice the finer less the coarser is without that part.
    const coarse = (await computeScores(spliced, some, "max", score("ig", { steps: 12 }))).neuron;
    const fine = (await computeScores(spliced, some, "max", score("ig", { steps: 24 }))).neuron;
    for (const [p, prompt] of some.entries()) {
      const corrupted = await naiveSites(spliced.model, prompt, "corrupted");
      for (const at of places) {
        const patched = await naiveMetric(spliced.model, prompt, "clean", "max", ({ site, layer }, x_TD) =>
          site === at.site && layer === at.layer ? must(corrupted.get(`mlp_post.${String(layer)}`), "neurons") : x_TD,
        );
        const clean = await naiveMetric(spliced.model, prompt, "clean", "max", (_at, x_TD) => x_TD);
        const total = (of: ReadonlyMap<string, Float32Array>): number =>
          must(of.get(siteHook(at)), "scores")
            .subarray(p * T * M, (p + 1) * T * M)
            .reduce((a, b) => a + b, 0);
        const sum = 2 * total(fine) - total(coarse);
        expect(Math.abs(sum - (patched - clean)), siteHook(at)).toBeLessThan(1e-3 + 0.01 * Math.abs(sum));
      }
      tf.dispose([...corrupted.values()]);
    }
  });

  it("leak no tensors, by any method", async () => {
    for (const each of [score("atp"), score("zero"), score("relp"), score("ig", { steps: 2 })])
      await expect(() => computeScores(spliced, prompts.slice(0, 2), "max", each)).toLeakNoTensors();
  });
});

const SWEEP = `name: neurons
model: { path: model }
saes: { path: saes }
dataset: { path: data/pairs.jsonl, limit: 6 }
scores: [{ name: atp, method: atp }, { name: relp, method: relp }, { name: ig, method: ig, steps: 3 }]
truth:
  features: { top: 5, random: 5 }
  nodes:
    - { kind: neuron, layers: 1..3, at: -1, sample: { n: 30 } }
    - { kind: neuron, layers: [1, -1], at: [-1, -2], top: 5, by: atp }
    - { kind: feature, site: resid_post, layers: -1, at: -1 }
    - { kind: neuron, layers: 2, at: global, top: 2, by: relp }
    - { kind: [error, head], at: -1, layers: 2 }
`;

describe("a sweep over neurons", () => {
  it("lists them by score and at random, once each, in slots of their kind, with the truth and every score beside", async () => {
    const {
      folder,
      planned: { plan },
    } = await runPipeline(SWEEP, TINY_A, spliced);
    const { rows: listed } = await readParquet(runPaths(folder).artifact("nodes.parquet"));
    const key = (row: Record<string, unknown>): string =>
      [row["hook"], row["position"], row["feature"], row["neuron"], row["head"]].join("/");
    expect(new Set(listed.map(key)).size).toBe(listed.length);
    const ofKind = (tail: string): Record<string, unknown>[] =>
      listed.filter(({ hook }) => String(hook).endsWith(tail));
    const neurons = ofKind("mlp.hook_post");
    expect(neurons).toHaveLength(3 * 30 + 2 * 5 + 2);
    expect(ofKind("hook_sae_error")).toHaveLength(3);
    expect(ofKind(".heads")).toHaveLength(4);
    for (const { task, shards } of plan.stages) {
      if (truthTask(task)?.floor !== false) continue;
      const slots = new Set([...shards].flatMap(({ slots: [start, end] = [0, 0] }) => range(start, end)));
      const here = listed.filter((row) => slots.has(Number(row["slot"])));
      expect(new Set(here.map((row) => parseNodeHook(String(row["hook"]))?.kind))).toEqual(
        new Set([truthTask(task)?.nodes]),
      );
    }
    // The strongest of the frame, although the sample is listed before them; the sample is of what is left.
    const scores = (await readScoreMeans((name) => readArtifact(folder, name), "atp")).slices;
    const layer1 = must(scores.get("blocks.1.mlp.hook_post"), "scores");
    const strongest = range((T - 2) * M, T * M)
      .sort((a, b) => Math.abs(must(layer1[b], "score")) - Math.abs(must(layer1[a], "score")))
      .slice(0, 5);
    const inLayer1 = neurons.filter(({ hook, position }) => hook === "blocks.1.mlp.hook_post" && position !== -1);
    const tops = inLayer1.filter(({ stratum }) => stratum === "top");
    expect(tops.map((row) => Number(row["position"]) * M + Number(row["neuron"])).sort((a, b) => a - b)).toEqual(
      strongest.sort((a, b) => a - b),
    );
    const drawn = inLayer1.filter(({ stratum }) => stratum !== "top");
    const weights = drawn.reduce((sum, row) => sum + 1 / Number(row["inclusion_probability"]), 0);
    const atAnswer = strongest.filter((i) => i >= (T - 1) * M).length;
    const frame = layer1.subarray((T - 1) * M).reduce((n, score) => n + (score === 0 ? 0 : 1), 0);
    expect(weights).toBeCloseTo(frame - atAnswer, 6);
    const { rows } = await readParquet(runPaths(folder).artifact("truth.parquet"));
    const measured = rows.filter(({ kind }) => kind === "neuron");
    expect(measured).toHaveLength(neurons.length * 6);
    for (const row of measured)
      for (const column of ["effect", "atp", "relp", "ig"]) expect(Number.isFinite(row[column])).toBe(true);
    const strong = measured.filter((row) => Number(row["position"]) === T - 1 && Math.abs(Number(row["atp"])) > 1e-3);
    expect(strong.length).toBeGreaterThan(10);
    const agree = strong.filter((row) => Math.sign(Number(row["atp"])) === Math.sign(Number(row["effect"])));
    expect(agree.length / strong.length).toBeGreaterThan(0.8);
  });
});
