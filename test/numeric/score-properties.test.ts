import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { PatchbayError } from "../../src/base/errors.js";
import { visitGradients } from "../../src/attribution/backward.js";
import { captureRun } from "../../src/attribution/capture.js";
import { computeMeans } from "../../src/attribution/means.js";
import type { ScoresResult } from "../../src/attribution/results.js";
import { computeScores } from "../../src/attribution/scores.js";
import { nodeChanges } from "../../src/attribution/site-scores.js";
import { spliceModel, type SplicedModel } from "../../src/attribution/spliced-model.js";
import type { MetricReduce, Prompt } from "../../src/circuit/prompt.js";
import { allSites, siteHook, SITES, type SiteAt } from "../../src/circuit/site.js";
import { AUTODIFF_RULES } from "../../src/model/backward-rules.js";
import { answerLogits, startBlock } from "../../src/model/forward.js";
import { attend, attendOutput, mlpOutput } from "../../src/model/layer.js";
import { loadAnswers, metricsOf } from "../../src/model/metric.js";
import { layerContext, type Model } from "../../src/model/model.js";
import { withScope } from "../../src/model/tensor-scope.js";
import type { ScoreSpec } from "../../src/plan/sweep.js";
import { denseRows } from "./dense.js";
import { goldenPrompts, goldenSpliced } from "./golden.js";
import { BLOCK_RTOL } from "./test-backend.js";
import { largestDifference, largestMagnitude } from "./matchers.js";

const ATP: ScoreSpec = { name: "atp", method: "atp" };
const METHODS: readonly ScoreSpec[] = [ATP, { name: "zero", method: "zero" }, { name: "ig", method: "ig", steps: 2 }];

/** Metrics of the clean prompts where `change` is added to one site's activation: a forward pass of its own. */
async function metricsWith(
  model: Model,
  prompts: readonly Prompt[],
  reduce: MetricReduce,
  at: SiteAt,
  change_RD: Tensor,
): Promise<Float64Array> {
  return await withScope(async (own) => {
    const answers = own(await loadAnswers(model.embedding, prompts, reduce));
    const { resid_RD, frame } = await startBlock(
      model,
      prompts.map((p) => p.clean),
    );
    own(frame);
    own(resid_RD);
    const logits = own(
      tf.tidy(() => {
        const changed = (site: SiteAt["site"], layer: number, x: Tensor): Tensor =>
          site === at.site && layer === at.layer ? tf.add(x, change_RD) : x;
        let h: Tensor = resid_RD;
        for (let layer = 0; layer < model.config.nLayers; layer++) {
          const context = layerContext(model, layer);
          const mid = attendOutput(context, h, changed("attn_z", layer, attend(context, h, frame)));
          h = changed("resid_post", layer, tf.add(mid, changed("mlp_out", layer, mlpOutput(context, mid))));
        }
        return answerLogits(model, h, prompts.length, answers);
      }),
    );
    return metricsOf(await logits.data(), answers);
  });
}

/** Gradients at every site, kept. */
async function gradients(model: Model, prompts: readonly Prompt[], reduce: MetricReduce): Promise<Map<string, Tensor>> {
  return await withScope(async (own) => {
    const answers = own(await loadAnswers(model.embedding, prompts, reduce));
    const run = own(await captureRun(model, prompts, "clean", answers));
    const kept = new Map<string, Tensor>();
    await visitGradients(model, run, answers, AUTODIFF_RULES, async (at, gradient_RD) => {
      kept.set(siteHook(at), await Promise.resolve(tf.clone(gradient_RD)));
    });
    return kept;
  });
}

/** Sums of each prompt's share of the values. */
function sumByPrompt(values: ArrayLike<number>, prompts: number): Float64Array {
  const sums = new Float64Array(prompts);
  for (let i = 0; i < values.length; i++) {
    const prompt = Math.floor((i * prompts) / values.length);
    sums[prompt] = must(sums[prompt], "sum") + Number(values[i]);
  }
  return sums;
}

const arraysOf = (result: ScoresResult): Map<string, ArrayLike<number>> =>
  new Map<string, ArrayLike<number>>([
    ...[...result.features].flatMap(([hook, rows]) =>
      Object.entries(rows as unknown as Record<string, Float32Array>).map(
        ([name, v]) => [`${hook}.${name}`, v] as const,
      ),
    ),
    ...[...result.errors].map(([hook, v]) => [`${hook}.error`, v] as const),
    ...[...result.sites].map(([hook, v]) => [`${hook}.site`, v] as const),
    ...[...result.heads].map(([hook, v]) => [`${hook}.heads`, v] as const),
    ...[...result.components].flatMap(([hook, parts]) =>
      Object.entries(parts as unknown as Record<string, Float32Array>).map(
        ([name, v]) => [`${hook}.${name}`, v] as const,
      ),
    ),
  ]);

describe("scores", () => {
  const pairs = goldenPrompts("pairs");
  let spliced: SplicedModel;
  beforeAll(async () => {
    spliced = await goldenSpliced();
  });
  afterAll(() => {
    spliced.dispose();
  });

  it.each(["atp", "ig"])("%s of identical prompts are exactly 0, and no feature is listed", async (method) => {
    const same = pairs.slice(0, 3).map((p) => ({ ...p, corrupted: p.clean }));
    const result = await computeScores(
      spliced,
      same,
      "max",
      must(
        METHODS.find((m) => m.method === method),
        method,
      ),
    );
    for (const rows of result.features.values()) expect(rows.index).toHaveLength(0);
    for (const values of [...result.errors.values(), ...result.sites.values(), ...result.heads.values()])
      expect(largestMagnitude(values)).toBe(0);
  });

  it("AtP is exactly 0 at every position before the first difference", async () => {
    const result = await computeScores(spliced, pairs, "max", ATP);
    for (const [p, prompt] of pairs.entries()) {
      const first = prompt.clean.findIndex((id, t) => id !== prompt.corrupted?.[t]);
      for (const errors of result.errors.values())
        expect(largestMagnitude(errors.subarray(p * 7, p * 7 + first))).toBe(0);
      for (const { pointer, index } of result.features.values())
        for (let i = must(pointer[p], "start"); i < must(pointer[p + 1], "end"); i++)
          expect(must(index[i], "index")).toBeGreaterThanOrEqual(first * 128);
    }
  });

  it("of a site's features and error add up to gradient . delta", async () => {
    for (const method of [ATP, must(METHODS[2], "ig")]) {
      const result = await computeScores(spliced, pairs.slice(0, 4), "max", method);
      for (const [hook, errors] of result.errors) {
        const site = must(result.sites.get(hook), "site");
        const features = denseRows(must(result.features.get(hook), "features"), 7 * 128).values;
        const sums = Float64Array.from(
          errors,
          (e, row) => e + features.subarray(row * 128, (row + 1) * 128).reduce((a, b) => a + b, 0),
        );
        expect(sums, hook).toBeAllclose(site, { rtol: 1e-5, atol: 1e-6 });
      }
    }
  });

  it("of a layer's heads add up to its attn_z site's", async () => {
    const { heads, sites } = await computeScores(spliced, pairs.slice(0, 4), "max", ATP);
    expect(heads.size).toBe(4);
    for (const [hook, values] of heads) {
      const sums = Float64Array.from({ length: values.length / 4 }, (_, row) =>
        values.subarray(row * 4, row * 4 + 4).reduce((a, b) => a + b, 0),
      );
      expect(sums, hook).toBeAllclose(must(sites.get(hook), "site"), { rtol: 1e-5, atol: 1e-6 });
    }
  });

  it.each([1, 2, 5])("in blocks of %i prompts differ from one block of all by rounding alone", async (size) => {
    for (const method of METHODS) {
      const together = await computeScores(spliced, pairs.slice(0, 10), "max", method);
      const parts: ScoresResult[] = [];
      for (let p = 0; p < 10; p += size)
        parts.push(await computeScores(spliced, pairs.slice(p, p + size), "max", method));
      for (const [hook, rows] of together.features) {
        const split = parts.flatMap((part) => [...denseRows(must(part.features.get(hook), hook), 7 * 128).values]);
        expect(split, hook).toBeAllclose(denseRows(rows, 7 * 128).values, { rtol: BLOCK_RTOL, atol: 0 });
      }
      for (const [hook, errors] of together.errors)
        expect(
          parts.flatMap((part) => [...must(part.errors.get(hook), hook)]),
          hook,
        ).toBeAllclose(errors, { rtol: BLOCK_RTOL, atol: 0 });
    }
  });

  it("have the same bits from run to run", async () => {
    for (const method of METHODS) {
      const [first, second] = [
        await computeScores(spliced, pairs.slice(0, 5), "max", method),
        await computeScores(spliced, pairs.slice(0, 5), "max", method),
      ];
      expect(arraysOf(second)).toEqual(arraysOf(first));
    }
  });

  it("need no SAE for whole sites and heads, and give the same bits there", async () => {
    const plain = spliceModel(spliced.model, []);
    const [bare, full] = [
      await computeScores(plain, pairs.slice(0, 3), "max", ATP),
      await computeScores(spliced, pairs.slice(0, 3), "max", ATP),
    ];
    expect(bare.sites).toEqual(full.sites);
    expect(bare.heads).toEqual(full.heads);
    expect([bare.features.size, bare.errors.size, bare.components.size]).toEqual([0, 0, 4]);
  });

  it("use the larger of several incorrect answers with max", async () => {
    const [first, second] = [must(pairs[0], "pair"), must(pairs[1], "pair")];
    const several = { ...first, incorrect: [...first.incorrect, ...second.incorrect] };
    const alone = await Promise.all(
      several.incorrect.map(
        async (id) =>
          await withScope(async (own) => {
            const answers = own(await loadAnswers(spliced.model.embedding, [{ ...first, incorrect: [id] }], "max"));
            return must(own(await captureRun(spliced.model, [first], "clean", answers)).metric[0], "metric");
          }),
      ),
    );
    const larger = must(several.incorrect[must(alone[0], "m") >= must(alone[1], "m") ? 0 : 1], "answer");
    const [a, b] = [
      await computeScores(spliced, [several], "max", ATP),
      await computeScores(spliced, [{ ...first, incorrect: [larger] }], "max", ATP),
    ];
    for (const [hook, values] of a.sites)
      expect(values).toBeAllclose(must(b.sites.get(hook), hook), { rtol: 1e-5, atol: 1e-7 });
  });

  it("by zero ablation need no corrupted run, and by the others are refused without one", async () => {
    const [zero] = METHODS.filter(({ method }) => method === "zero");
    const plain = pairs.slice(0, 2).map((p) => ({ ...p, corrupted: null }));
    const both = [plain, pairs.slice(0, 2)].map((prompts) =>
      computeScores(spliced, prompts, "max", must(zero, "zero")),
    );
    const [alone, paired] = [await both[0], await both[1]];
    expect(arraysOf(must(alone, "scores"))).toEqual(arraysOf(must(paired, "scores")));
    await expect(computeScores(spliced, plain, "max", ATP)).rejects.toMatchObject({ code: "bad_input" });
  });

  it.each(METHODS)("by $method leak no tensors", async (method) => {
    await expect(() => computeScores(spliced, pairs.slice(0, 3), "max", method)).toLeakNoTensors();
  });

  it("report progress up to the total", async () => {
    const steps: string[] = [];
    await computeScores(spliced, pairs.slice(0, 1), "max", ATP, (done, total) =>
      steps.push(`${String(done)}/${String(total)}`),
    );
    expect([steps.length, steps.at(-1)]).toEqual([12, "12/12"]);
  });
});

describe("gradients", () => {
  const pairs = goldenPrompts("pairs").slice(0, 3);
  let spliced: SplicedModel;
  beforeAll(async () => {
    spliced = await goldenSpliced();
  });
  afterAll(() => {
    spliced.dispose();
  });

  it.each(["max", "sum"] as const)("agree with finite differences at every site (%s)", async (reduce) => {
    const { model } = spliced;
    // Several answers with `sum` only: with `max` a step may cross from one answer to another, where there is no derivative.
    const prompts = pairs.map((p, i) => ({
      ...p,
      incorrect: reduce === "max" ? p.incorrect : [...p.incorrect, ...must(pairs[(i + 1) % 3], "pair").incorrect],
    }));
    const kept = await gradients(model, prompts, reduce);
    for (const at of allSites(model.config.nLayers)) {
      const gradient = must(kept.get(siteHook(at)), "gradient");
      const R = must(gradient.shape[0], "rows");
      const norms = sumByPrompt(
        (await gradient.data()).map((v) => v * v),
        3,
      );
      // Along each prompt's own gradient of unit length the derivative is the gradient's norm.
      const unit = tf.tidy(() => {
        const scale = tf.tensor1d(
          Array.from({ length: R }, (_, r) => 1 / Math.sqrt(must(norms[Math.floor((r * 3) / R)], "norm"))),
        );
        return tf.mul(gradient, tf.reshape(scale, [R, 1]));
      });
      const step = 0.02;
      const up = await metricsWith(model, prompts, reduce, at, tf.mul(unit, step));
      const down = await metricsWith(model, prompts, reduce, at, tf.mul(unit, -step));
      const slopes = up.map((m, p) => (m - must(down[p], "metric")) / (2 * step));
      expect(slopes, siteHook(at)).toBeAllclose(norms.map(Math.sqrt), { rtol: 5e-3 });
      unit.dispose();
    }
    tf.dispose([...kept.values()]);
  });

  it("times a small enough change are its true effect, for an error node and a feature node at every site", async () => {
    const { model } = spliced;
    const kept = await gradients(model, pairs, "max");
    const answers = await loadAnswers(model.embedding, pairs, "max");
    const [clean, corrupted] = [
      await captureRun(model, pairs, "clean", answers),
      await captureRun(model, pairs, "corrupted", answers),
    ];
    for (const at of allSites(model.config.nLayers)) {
      const sae = must(spliced.sae(at), "SAE");
      const changes = await nodeChanges(sae, clean.site(at), corrupted.site(at));
      const R = must(changes.error_RD.shape[0], "rows");
      const entry = Math.floor(changes.features.row.length / 2);
      const one = new Float32Array(R * sae.dSae);
      one[must(changes.features.row[entry], "row") * sae.dSae + must(changes.features.feature[entry], "feature")] =
        must(changes.features.change[entry], "change");
      const feature_RD = tf.tidy(() => tf.matMul(tf.tensor2d(one, [R, sae.dSae]), sae.W_dec_FD));
      for (const delta_RD of [changes.error_RD, feature_RD]) {
        const product = await tf.mul(must(kept.get(siteHook(at)), "gradient"), delta_RD).data();
        const predicted = sumByPrompt(product, 3);
        const gap = async (epsilon: number): Promise<number> => {
          const moved = await metricsWith(model, pairs, "max", at, tf.mul(delta_RD, epsilon));
          return largestDifference(
            moved.map((m, p) => (m - must(clean.metric[p], "metric")) / epsilon),
            predicted,
          ).value;
        };
        const scale = largestMagnitude(predicted);
        expect(await gap(1 / 256), siteHook(at)).toBeLessThan(2e-3 + 0.02 * scale);
      }
      tf.dispose([changes.error_RD, feature_RD]);
    }
    clean.dispose();
    corrupted.dispose();
    answers.dispose();
    tf.dispose([...kept.values()]);
  });
});

describe("means", () => {
  const pairs = goldenPrompts("pairs").slice(0, 4);
  let spliced: SplicedModel;
  beforeAll(async () => {
    spliced = await goldenSpliced();
  });
  afterAll(() => {
    spliced.dispose();
  });

  it("take the clean run alone on a plain dataset", async () => {
    const plain = pairs.map((p) => ({ ...p, corrupted: null }));
    const twice = pairs.map((p) => ({ ...p, corrupted: p.clean }));
    const [once, both] = [await computeMeans(spliced, plain, "max"), await computeMeans(spliced, twice, "max")];
    expect(once.metricCorrupted).toBeNull();
    for (const [hook, { index, sum, differs }] of both.features) {
      const single = must(once.features.get(hook), hook);
      expect(index).toEqual(single.index);
      expect(sum).toBeAllclose(
        single.sum.map((v) => 2 * v),
        { rtol: 1e-12, atol: 0 },
      );
      expect([differs.length, single.differs.length]).toEqual([0, 0]);
    }
  });

  it("list as differing every feature that AtP lists, and no other but where the gradient is 0", async () => {
    const { features } = await computeMeans(spliced, pairs, "max");
    const scores = await computeScores(spliced, pairs, "max", ATP);
    for (const [hook, { differs }] of features) {
      const listed = [...new Set(must(scores.features.get(hook), hook).index)].sort((x, y) => x - y);
      const lastLayer = ["blocks.3.hook_resid_post", "blocks.3.hook_mlp_out", "blocks.3.attn.hook_z"].includes(hook);
      const reached = [...differs].filter((index) => !lastLayer || index >= 6 * 128);
      expect(listed, hook).toEqual(reached);
    }
  });

  it("leak no tensors", async () => {
    await expect(() => computeMeans(spliced, pairs, "max")).toLeakNoTensors();
  });
});

describe("a value that is not finite", () => {
  const pairs = goldenPrompts("pairs").slice(0, 2);
  let spliced: SplicedModel;
  beforeAll(async () => {
    spliced = await goldenSpliced();
  });
  afterAll(() => {
    spliced.dispose();
  });

  /** The model with layer 2's MLP scaled until it overflows. */
  function overflowing(): SplicedModel {
    const layers = spliced.model.layers.map((layer, i) =>
      i === 2 ? { ...layer, postMlpGain_D: tf.fill(layer.postMlpGain_D.shape, 3e38) } : layer,
    );
    return spliceModel({ ...spliced.model, layers }, spliced.saes);
  }

  it.each([...METHODS.map((m) => m.method), "means"])(
    "in a run is reported with layer, site and line, and leaks nothing (%s)",
    async (method) => {
      const broken = overflowing();
      const program = async (): Promise<unknown> => {
        const score = METHODS.find((m) => m.method === method);
        return score === undefined ? computeMeans(broken, pairs, "max") : computeScores(broken, pairs, "max", score);
      };
      await expect(async () => {
        const thrown: unknown = await program().catch((error: unknown) => error);
        expect(thrown).toBeInstanceOf(PatchbayError);
        expect(thrown).toMatchObject({ code: "non_finite", detail: { line: 1, field: "blocks.2.hook_mlp_out" } });
        expect((thrown as Error).message).toMatch(/layer 2.*mlp_out.*line 1/);
      }).toLeakNoTensors();
      must(broken.model.layers[2], "layer").postMlpGain_D.dispose();
    },
  );

  it("in an SAE is reported at its site", async () => {
    const at = { site: must(SITES[0], "site"), layer: 1 };
    const sae = must(spliced.sae(at), "SAE");
    const b_dec_D = tf.fill([sae.dIn], Number.POSITIVE_INFINITY);
    const broken = spliceModel(spliced.model, [{ ...at, sae: { ...sae, b_dec_D } }]);
    await expect(computeScores(broken, pairs, "max", { name: "zero", method: "zero" })).rejects.toMatchObject({
      code: "non_finite",
      detail: { field: "blocks.1.attn.hook_z", line: 1 },
    });
    b_dec_D.dispose();
  });
});
