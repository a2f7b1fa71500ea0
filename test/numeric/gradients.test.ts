import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { must } from "../../src/base/assert.js";
import { visitGradients } from "../../src/passes/backward.js";
import { captureRun } from "./capture-run.js";
import { nodeChanges } from "../../src/passes/site-scores.js";
import type { SplicedModel } from "../../src/passes/spliced-model.js";
import type { MetricReduce, Prompt } from "../../src/nodes/prompt.js";
import { saeSites, siteHook, SITES, sitesOfLayers, type SiteAt } from "../../src/nodes/site.js";
import { AUTODIFF_RULES } from "../../src/model/backward-rules.js";
import { answerLogits, startBlock } from "../../src/model/forward.js";
import { attend, attendOutput, neurons, neuronsOutput } from "../../src/model/layer.js";
import { loadAnswers, metricsOf } from "../../src/model/metric.js";
import { layerContext, type Model } from "../../src/model/model.js";
import { withScope } from "../../src/model/tensor-scope.js";
import { goldenPrompts, goldenSpliced } from "./golden.js";
import { largestDifference, largestMagnitude } from "./matchers.js";

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
          const neurons_RM = changed("mlp_post", layer, neurons(context, mid));
          const out = changed("mlp_out", layer, neuronsOutput(context, neurons_RM));
          h = changed("resid_post", layer, tf.add(mid, out));
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
    await visitGradients({ model, run, answers, rules: AUTODIFF_RULES, withNeurons: true }, async (at, gradient_RD) => {
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
    for (const at of sitesOfLayers(SITES, model.config.nLayers)) {
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
    for (const at of saeSites(model.config.nLayers)) {
      const sae = must(spliced.sae(at), "SAE");
      const changes = await nodeChanges(sae, clean.site(at), corrupted.site(at));
      const R = must(changes.error_RD.shape[0], "rows");
      const entry = Math.floor(changes.features.row.length / 2);
      const one = new Float32Array(R * sae.dSae);
      one[must(changes.features.row[entry], "row") * sae.dSae + must(changes.features.feature[entry], "feature")] =
        must(changes.features.value[entry], "change");
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
