/**
 * @file The backward pass, one layer at a time: only one layer's tape is alive, and no SAE is in the graph.
 *
 * With pass-through gradients the gradient at an SAE's output is the gradient at its input, so for every site
 * `g_error = dm/dx` and `g_feature = W_dec g_error` (REFERENCE 3). Walking from the last layer to the first:
 *
 * 1. `g = dm/d resid_post` of the last layer, from the metric's coefficients on the answer logits.
 * 2. `post = mid + mlp_out`, so mlp_out's gradient is `g` too.
 * 3. From `g` through `(h, z) -> post`: the gradient at attn_z and the direct part at `h`; from attn_z's gradient through
 *    `h -> z` the rest. Their sum is `g` of the layer before.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../base/assert.js";
import type { SiteAt } from "../circuit/site.js";
import type { BackwardRules } from "../model/backward-rules.js";
import { afterAttention, attend, type Frame, type LayerContext } from "../model/layer.js";
import { metricCoefficients, type Answers } from "../model/metric.js";
import { layerContext, layersFrom, walkLayers, type Model } from "../model/model.js";
import { lastRows, unembed } from "../model/unembedding.js";
import type { Pooled } from "../model/weight-pool.js";
import { breathe } from "./breathe.js";
import type { Run } from "./capture.js";

/** Gradient of the summed metric at the last residual stream, `[R, D]`. Owner: caller. */
export function metricGradient(
  model: Model,
  resid_RD: Tensor,
  logits: Float32Array,
  answers: Answers,
  rules: BackwardRules,
): Tensor {
  const batch = answers.correct.length;
  const coefficients = metricCoefficients(logits, answers);
  const logitsOf = (x_RD: Tensor): Tensor =>
    unembed(model.config, model.finalGain_D, lastRows(x_RD, batch), answers.unembed_DA, rules);
  return tf.tidy(() => tf.grad(logitsOf)(resid_RD, tf.tensor2d(coefficients, [batch, answers.ids.length])));
}

/** Gradients at one layer's z and input, from the gradient at its output. Owner of both: caller. */
export function layerGradients(
  context: LayerContext,
  frame: Frame,
  input_RD: Tensor,
  z_RZ: Tensor,
  gradient_RD: Tensor,
): { readonly attn_z: Tensor; readonly input: Tensor } {
  return tf.tidy(() => {
    const [direct, attn_z] = tf.grads((h: Tensor, z: Tensor) => afterAttention(context, h, z))(
      [input_RD, z_RZ],
      gradient_RD,
    );
    const throughZ = tf.grad((h: Tensor) => attend(context, h, frame))(input_RD, must(attn_z, "gradient"));
    return { attn_z: must(attn_z, "gradient"), input: tf.add(must(direct, "gradient"), throughZ) };
  });
}

/** Given each site's gradient, from the last layer to the first. The tensor is disposed afterwards. */
export type GradientVisitor = (at: SiteAt, gradient_RD: Tensor) => Promise<void>;

/**
 * Gradients of the summed metric at every site of a run.
 * @param also what the visitor needs of the pool for a layer.
 */
export async function visitGradients(
  model: Model,
  run: Run,
  answers: Answers,
  rules: BackwardRules,
  visit: GradientVisitor,
  also?: (layer: number) => readonly Pooled<unknown>[],
): Promise<void> {
  let gradient_RD = metricGradient(model, run.input(model.config.nLayers), run.logits, answers, rules);
  try {
    const through = async (layer: number): Promise<void> => {
      await visit({ site: "resid_post", layer }, gradient_RD);
      await visit({ site: "mlp_out", layer }, gradient_RD);
      const context = layerContext(model, layer, rules);
      const z_RZ = run.site({ site: "attn_z", layer });
      const { attn_z, input } = layerGradients(context, run.frame, run.input(layer), z_RZ, gradient_RD);
      gradient_RD.dispose();
      gradient_RD = input;
      try {
        await visit({ site: "attn_z", layer }, attn_z);
      } finally {
        attn_z.dispose();
      }
      await breathe();
    };
    await walkLayers(model, layersFrom(model.config).reverse(), through, also);
  } finally {
    gradient_RD.dispose();
  }
}
