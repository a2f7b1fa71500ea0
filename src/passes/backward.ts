/**
 * @file The backward pass, one layer at a time: only one layer's tape is alive, and no SAE is in the graph.
 *
 * With pass-through gradients the gradient at an SAE's output is the gradient at its input, so for every site
 * `g_error = dm/dx` and `g_feature = W_dec g_error` (REFERENCE 3). Walking from the last layer to the first:
 *
 * 1. `g = dm/d resid_post` of the last layer, from the metric's coefficients on the answer logits.
 * 2. `post = mid + mlp_out`, so mlp_out's gradient is `g` too.
 *    In the last layer it is 0 before the answer position, so steps that act on each row by itself run for that position only.
 *    Where neurons are asked for, theirs comes from it through the down projection and the norm after it.
 * 3. From `g` through `(h, z) -> post`: the gradient at attn_z and the direct part at `h`; from attn_z's gradient through
 *    `h -> z` the rest. Their sum is `g` of the layer before.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../base/assert.js";
import type { SiteAt } from "../nodes/site.js";
import type { BackwardRules } from "../model/backward-rules.js";
import { afterAttention, attend, neuronsOutput, type Frame } from "../model/layer.js";
import type { LayerContext } from "../model/layer-context.js";
import { metricCoefficients, type Answers } from "../model/metric.js";
import { layerContext, layersFrom, walkLayers, type Model } from "../model/model.js";
import type { KeptProducts } from "../model/products.js";
import { lastRows, unembed } from "../model/unembedding.js";
import type { Pooled } from "../model/weight-pool.js";
import type { ModelConfig } from "../families/family.js";
import { breathe } from "./breathe.js";
import type { Run } from "./capture.js";
import { laterRows, padRows } from "./later-positions.js";
import { neuronsOf } from "./neurons.js";

/** Gradient of the summed metric at the last residual stream, `[R, D]`. Owner: caller. */
export function metricGradient(
  { model, answers, rules }: Pick<GradientRun, "model" | "answers" | "rules">,
  resid_RD: Tensor,
  logits: Float32Array,
): Tensor {
  const batch = answers.correct.length;
  const coefficients = metricCoefficients(logits, answers);
  const logitsOf = (x_RD: Tensor): Tensor =>
    unembed(model.config, model.finalGain_D, lastRows(x_RD, batch), answers.unembed_DA, rules);
  return tf.tidy(() => tf.grad(logitsOf)(resid_RD, tf.tensor2d(coefficients, [batch, answers.ids.length])));
}

/** A layer's pass over a block: what its gradients are made of. */
export interface LayerPass {
  readonly frame: Frame;
  readonly input_RD: Tensor;
  readonly z_RZ: Tensor;
  readonly kept: KeptProducts;
  /** The gradient at the layer's output is 0 before this position; what comes after attention acts on each row by itself. */
  readonly first: number;
}

/** Gradients at a layer's z, and at its input but for what goes through z, from the gradient at its output. Owner of both: caller. */
export function zGradients(
  context: LayerContext,
  { frame: { batch }, input_RD, z_RZ, kept, first }: LayerPass,
  gradient_RD: Tensor,
): { readonly attn_z: Tensor; readonly direct: Tensor } {
  return tf.tidy(() => {
    const rows = (x: Tensor): Tensor => laterRows(x, batch, first);
    const replayed = { ...context, products: kept.replay(rows) };
    const [direct, attn_z] = tf
      .grads((h: Tensor, z: Tensor) => afterAttention(replayed, h, z))([rows(input_RD), rows(z_RZ)], rows(gradient_RD))
      .map((gradient) => padRows(gradient, batch, first));
    return { attn_z: must(attn_z, "gradient"), direct: must(direct, "gradient") };
  });
}

/** The gradient at a layer's neurons, `[R, M]`, from that at its output. Owner: caller. */
function neuronGradient(
  context: LayerContext,
  { frame: { batch }, input_RD, z_RZ, kept, first }: LayerPass,
  gradient_RD: Tensor,
): Tensor {
  return tf.tidy(() => {
    const rows = (x: Tensor): Tensor => laterRows(x, batch, first);
    const replayed = { ...context, products: kept.replay(rows) };
    const neurons_RM = neuronsOf(replayed, { input_RD: rows(input_RD), z_RZ: rows(z_RZ) });
    const output = (a_RM: Tensor): Tensor => neuronsOutput(replayed, a_RM);
    return padRows(tf.grad(output)(neurons_RM, rows(gradient_RD)), batch, first);
  });
}

/** The whole gradient at a layer's input, from both of {@link zGradients}. Owner: caller. */
export function inputGradient(
  context: LayerContext,
  { frame, input_RD, kept }: LayerPass,
  { attn_z, direct }: { readonly attn_z: Tensor; readonly direct: Tensor },
): Tensor {
  const replayed = { ...context, products: kept.replay() };
  return tf.tidy(() => tf.add(direct, tf.grad((h: Tensor) => attend(replayed, h, frame))(input_RD, attn_z)));
}

/** First position at which the gradient at a layer's output may differ from 0: the metric reads the answer position only. */
export function firstGradient({ nLayers }: ModelConfig, { T }: Frame, layer: number): number {
  return layer === nLayers - 1 ? T - 1 : 0;
}

/** A layer as the run passed through it. */
function passOf(model: Model, run: Run, layer: number): LayerPass {
  const { frame } = run;
  const first = firstGradient(model.config, frame, layer);
  const z_RZ = run.site({ site: "attn_z", layer });
  return { frame, input_RD: run.input(layer), z_RZ, kept: run.products(layer), first };
}

/** Given each site's gradient, from the last layer to the first. The tensor is disposed afterwards. */
export type GradientVisitor = (at: SiteAt, gradient_RD: Tensor) => Promise<void>;

/** A run whose gradients are wanted. */
export interface GradientRun {
  readonly model: Model;
  readonly run: Run;
  readonly answers: Answers;
  readonly rules: BackwardRules;
  /** Whether neurons are visited too. */
  readonly withNeurons?: boolean;
  /** What the visitor needs of the pool for a layer. */
  readonly also?: (layer: number) => readonly Pooled<unknown>[];
}

/** Gradients of the summed metric at every site of a run. */
export async function visitGradients(wanted: GradientRun, visit: GradientVisitor): Promise<void> {
  const { model, run, rules, withNeurons = false, also } = wanted;
  let gradient_RD = metricGradient(wanted, run.input(model.config.nLayers), run.logits);
  try {
    const through = async (layer: number): Promise<void> => {
      await visit({ site: "resid_post", layer }, gradient_RD);
      await visit({ site: "mlp_out", layer }, gradient_RD);
      const context = layerContext(model, layer, rules);
      const pass = passOf(model, run, layer);
      if (withNeurons) {
        const neurons_RM = neuronGradient(context, pass, gradient_RD);
        await visit({ site: "mlp_post", layer }, neurons_RM).finally(() => {
          neurons_RM.dispose();
        });
      }
      const { attn_z, direct } = zGradients(context, pass, gradient_RD);
      gradient_RD.dispose();
      gradient_RD = direct;
      try {
        if (layer > 0) {
          gradient_RD = inputGradient(context, pass, { attn_z, direct });
          direct.dispose();
        }
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
