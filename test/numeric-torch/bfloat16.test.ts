import * as tf from "@tensorflow/tfjs-core";
import { cpSync, mkdtempSync, openSync, rmSync, statSync, writeSync, closeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { createRng } from "../../src/base/rng.js";
import { computeScores } from "../numeric/score-by-name.js";
import type { SplicedModel } from "../../src/passes/spliced-model.js";
import { computeTruth } from "../../src/experiments/truth/truth.js";
import type { Node } from "../../src/nodes/node.js";
import { loadModel } from "../../src/model/model.js";
import { planSweep } from "../../src/plan/make-plan.js";
import { pearson, spearman } from "../../src/stats/correlation.js";
import { openCheckpoint } from "../../src/weights/checkpoint.js";
import { TorchBackend } from "../../src/backends/torch-backend.js";
import { matricesFor } from "../../src/backends/torch-matrices.js";
import { startBackend } from "../../src/backends/start-backend.js";
import { denseScores } from "../numeric/dense.js";
import { goldenPrompts, goldenSpliced, TINY_A } from "../numeric/golden.js";
import { ON_GPU } from "../numeric/test-backend.js";
import { GOLDEN_LENGTH as T, GOLDEN_SITES, GOLDEN_WIDTH as F } from "../numeric/golden-sites.js";
import { REGISTER } from "../../src/experiments/registry.js";

/** bfloat16 has 8 significant bits: rounding moves a number by at most this part of it. */
const ROUNDING = 2 ** -8;

/**
 * Of the largest value. The model has 4 layers of 7 products, each of which rounds thrice at most; independent errors of up to 2^-8 with a
 * standard deviation of 2^-8 / sqrt(3) add up to sqrt(84) 2^-8 / sqrt(3) = 0.02 of a value. This allows two and a half times that.
 */
const RTOL = 0.05;

/** The nearest bfloat16, ties to even. */
function rounded(value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer)[0] ?? 0;
  const kept = (bits + 0x7fff + ((bits >>> 16) & 1)) & 0xffff0000;
  return new Float32Array(Uint32Array.of(kept).buffer)[0] ?? 0;
}

const addon = (): TorchBackend["addon"] => must(TorchBackend.of(tf.backend()), "torch").addon;

beforeAll(() => startBackend("torch"));

describe("a product with a bfloat16 matrix", () => {
  const [K, N] = [64, 48];
  const rng = createRng(5, "bfloat16");
  const normal = (count: number): Float32Array => Float32Array.from({ length: count }, () => rng.normal());
  const w = normal(K * N);

  it.each([
    [9, 64, 48],
    [1, 1, 1],
    [13, 259, 70],
    [32, 600, 64],
    [110, 48, 192],
  ])("of %i x %i x %i is that of the rounded factors, summed in float32, in either order of memory", (m, k, n) => {
    const [x, right] = [normal(m * k), normal(k * n)];
    const transposed = right.map((_, i) => right[(i % k) * n + Math.floor(i / k)] ?? 0);
    const [a, b] = [x.map(rounded), right.map(rounded)];
    const exact = Array.from({ length: m * n }, (_, i) => {
      const [row, column] = [Math.floor(i / n), i % n];
      return Array.from({ length: k }, (_, l) => (a[row * k + l] ?? 0) * (b[l * n + column] ?? 0)).reduce(
        (p, q) => p + q,
      );
    });
    const results = tf.tidy(() => {
      const left = tf.tensor2d(x, [m, k]);
      const rows = matricesFor("bfloat16").matrix(right, [k, n]);
      const columns = tf.transpose(matricesFor("bfloat16").matrix(transposed, [n, k]));
      return [rows, columns].map((matrix) => tf.matMul(left, matrix as tf.Tensor2D).dataSync());
    });
    for (const result of results)
      for (const [i, value] of exact.entries())
        expect(Math.abs((result[i] ?? NaN) - value)).toBeLessThanOrEqual(ROUNDING * Math.abs(value) + 1e-4);
  });

  it("has the gradient of the rounded matrix, and float32 values everywhere else", () => {
    const sums = Array.from({ length: K }, (_, k) =>
      Array.from(w.slice(k * N, (k + 1) * N), rounded).reduce((p, q) => p + q, 0),
    );
    const gradient = tf.tidy(() =>
      tf
        .grad((y: tf.Tensor) => tf.sum(tf.matMul(y as tf.Tensor2D, narrow())))(tf.ones([1, K]))
        .dataSync(),
    );
    expect(gradient).toBeAllclose(sums, { rtol: 2 * ROUNDING });
    const values = Float32Array.from(w, rounded);
    expect(tf.tidy(() => narrow().dataSync())).toEqual(values);
    expect(tf.tidy(() => tf.add(narrow(), 2 ** -20).dataSync())).toEqual(values.map((v) => v + 2 ** -20));
  });

  const narrow = (): tf.Tensor2D => matricesFor("bfloat16").matrix(w, [K, N]) as tf.Tensor2D;
});

describe("weights in the compute type", () => {
  it.each([
    ["model", "float32"],
    ["model-bf16", "bfloat16"],
  ] as const)("are the file's pages (%s in %s), without a copy", async (folder, dtype) => {
    const before = addon().liveBytes();
    const checkpoint = await openCheckpoint(`${TINY_A}/${folder}`);
    const model = await loadModel(checkpoint, matricesFor(dtype));
    const { nLayers, dModel } = checkpoint.config;
    // On a GPU there is a copy: the one in its memory.
    const copied = ON_GPU ? 2 * statSync(must(checkpoint.array("model.norm.weight").place, "place").path).size : 0;
    // Only the norms' gains: five vectors a layer, with room for blocks that are rounded up.
    expect(addon().liveBytes() - before).toBeLessThan((5 * nLayers + 2) * (4 * dModel + 64) + copied);
    model.dispose();
    await checkpoint.close();
    expect(addon().liveBytes()).toBe(before);
  });

  it("that are not finite are refused with file, tensor and element", async () => {
    const folder = mkdtempSync(join(tmpdir(), "patchbay-mapped-"));
    cpSync(`${TINY_A}/model-bf16`, folder, { recursive: true });
    const sound = await openCheckpoint(folder);
    const name = "model.layers.1.mlp.up_proj.weight";
    const place = must(sound.array(name).place, "place");
    await sound.close();
    const file = openSync(place.path, "r+");
    writeSync(file, Uint8Array.of(0xc0, 0x7f), 0, 2, place.start + 2 * 7); // A NaN.
    closeSync(file);
    const broken = await openCheckpoint(folder);
    await expect(loadModel(broken, matricesFor("bfloat16"))).rejects.toMatchObject({
      code: "non_finite",
      message: expect.stringMatching(/up_proj.*element 7;/) as string,
    });
    await broken.close();
    rmSync(folder, { recursive: true });
  });
});

describe("AtP and truth in bfloat16", () => {
  const prompts = goldenPrompts("pairs");
  const nodes = GOLDEN_SITES.flatMap(({ site, layer }) =>
    Array.from({ length: T }, (_, position): Node => ({ kind: "error", site, layer, position })),
  );
  let models: SplicedModel[];
  beforeAll(async () => {
    models = [await goldenSpliced("saes", "bfloat16"), await goldenSpliced("saes", "float32")];
  });
  afterAll(() => {
    for (const model of models) model.dispose();
  });

  /** Mean scores of all nodes, then mean effects of the error nodes. */
  async function results(model: SplicedModel): Promise<{ atp: Float64Array; truth: Float64Array }> {
    const scores = denseScores(await computeScores(model, prompts, "max", { name: "atp", method: "atp" }), T, F);
    const P = prompts.length;
    const atp = [...scores.values()].flatMap(({ values }) => {
      const size = values.length / P;
      return Array.from(
        { length: size },
        (_, i) => prompts.reduce((sum, _p, p) => sum + (values[p * size + i] ?? 0), 0) / P,
      );
    });
    const { metricPatched, metricClean } = await computeTruth(model, prompts, "max", nodes, 64);
    const truth = nodes.map(
      (_, s) => metricClean.reduce((sum, clean, p) => sum + (metricPatched[p * nodes.length + s] ?? 0) - clean, 0) / P,
    );
    return { atp: Float64Array.from(atp), truth: Float64Array.from(truth) };
  }

  /** The nodes whose effect is at least 1 % of the largest. */
  function felt(narrow: Float64Array, wide: Float64Array): [Float64Array, Float64Array] {
    const least = 0.01 * wide.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const kept = (values: Float64Array): Float64Array => values.filter((_, i) => Math.abs(wide[i] ?? 0) >= least);
    return [kept(narrow), kept(wide)];
  }

  it("agree with float32 in values and ranks", async () => {
    const [narrow, wide] = [await results(must(models[0], "model")), await results(must(models[1], "model"))];
    for (const kind of ["atp", "truth"] as const) {
      // Measured: Pearson 0.99996 for both; Spearman 0.991 and 0.969, where two effects of 0.2 % and 0.06 % of the largest changed sides.
      const [ofAll, ofSome] = [[narrow[kind], wide[kind]] as const, felt(narrow[kind], wide[kind])];
      const figures = { pearson: pearson(...ofAll), spearman: spearman(...ofAll), spearmanOfFelt: spearman(...ofSome) };
      console.log(`${kind}, bfloat16 against float32: ${JSON.stringify(figures)}`);
      expect(figures.pearson).toBeGreaterThan(0.999);
      expect(figures.spearman).toBeGreaterThan(0.96);
      expect(figures.spearmanOfFelt).toBeGreaterThan(0.98);
      expect(narrow[kind]).toBeAllclose(wide[kind], { rtol: RTOL });
    }
  });
});

describe("dtype: bfloat16", () => {
  it("is refused on a backend that has none, naming the one that has", async () => {
    const sweep = `name: narrow\nmodel: { path: model }\ndataset: { path: data/pairs.jsonl }\ndtype: bfloat16\nscores: [{ name: atp, method: atp }]\n`;
    const plan = planSweep(
      REGISTER.experiments,
      { text: sweep, file: "sweep.yaml", baseFolder: TINY_A },
      { backend: "wasm", autoThreads: 1 },
    );
    await expect(plan).rejects.toThrow(/sweep\.yaml:4: dtype: bfloat16 is not built yet on the wasm backend.*torch/);
  });
});
