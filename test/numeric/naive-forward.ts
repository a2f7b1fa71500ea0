/** @file The plainest forward pass that can be intervened on: one prompt at a time, every position, every layer. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../../src/base/assert.js";
import type { MetricReduce, Prompt, Side } from "../../src/nodes/prompt.js";
import type { SiteAt } from "../../src/nodes/site.js";
import { answerLogits, startBlock } from "../../src/model/forward.js";
import { attend, attendOutput, neurons, neuronsOutput } from "../../src/model/layer.js";
import { loadAnswers, metricOf } from "../../src/model/metric.js";
import { layerContext, type Model } from "../../src/model/model.js";

/** Given a site's live activation `[T, d]`, returns what goes on. Called in forward order. */
export type SiteHook = (at: SiteAt, x_TD: Tensor) => Tensor;

/** `m` of one prompt with every site passed through `hook`. */
export async function naiveMetric(
  model: Model,
  prompt: Prompt,
  side: Side,
  reduce: MetricReduce,
  hook: SiteHook,
): Promise<number> {
  const answers = await loadAnswers(model.embedding, [prompt], reduce);
  const { resid_RD, frame } = await startBlock(model, [must(prompt[side], side)]);
  const logits = tf.tidy(() => {
    let h_TD = resid_RD;
    for (let layer = 0; layer < model.layers.length; layer++) {
      const context = layerContext(model, layer);
      const z = hook({ site: "attn_z", layer }, attend(context, h_TD, frame));
      const mid_TD = attendOutput(context, h_TD, z);
      const neurons_TM = hook({ site: "mlp_post", layer }, neurons(context, mid_TD));
      const out = hook({ site: "mlp_out", layer }, neuronsOutput(context, neurons_TM));
      h_TD = hook({ site: "resid_post", layer }, tf.add(mid_TD, out));
    }
    return answerLogits(model, h_TD, 1, answers);
  });
  const metric = metricOf(await logits.data(), 0, answers, 0);
  tf.dispose([resid_RD, logits]);
  frame.dispose();
  answers.dispose();
  return metric;
}

/** Activations of every site in an unintervened run, on the host, by `site.layer`. */
export async function naiveSites(model: Model, prompt: Prompt, side: Side): Promise<Map<string, Tensor>> {
  const sites = new Map<string, Tensor>();
  await naiveMetric(model, prompt, side, "max", ({ site, layer }, x_TD) => {
    sites.set(`${site}.${String(layer)}`, tf.keep(tf.clone(x_TD)));
    return x_TD;
  });
  return sites;
}
