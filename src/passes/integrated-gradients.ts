/**
 * @file Integrated gradients: the mean gradient along the straight line from the clean to the corrupted activation of a site.
 *
 * One site at a time, its features and error moved together at all positions, the rest of the model live. Decoding is
 * affine, so this is the plain gradient at `x = (1 - a) x_clean + a x_corrupted` for `a = 0, 1/n, ..., (n-1)/n`.
 *
 * Only what comes after the site is run again: its own layer from the site on, then the layers above, forward and backward.
 * At `a = 0` that is the clean run, whose one backward pass serves every site but the neurons: their gradients of all layers are too large
 * to be kept.
 * Source: Sundararajan et al., arXiv 1703.01365; the grid of Marks et al., arXiv 2403.19647 (REFERENCE 4).
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must, unreachable } from "../base/assert.js";
import { isSaeSite, SAE_SITES, siteHook, SITES, sitesOfLayers, type SiteAt } from "../nodes/site.js";
import { AUTODIFF_RULES, type BackwardRules } from "../model/backward-rules.js";
import { answerLogits } from "../model/forward.js";
import { afterAttention, attend, attendOutput, neuronsOutput } from "../model/layer.js";
import type { Answers } from "../model/metric.js";
import { layerContext, layersFrom, walkLayers, type Model } from "../model/model.js";
import { KeptProducts } from "../model/products.js";
import { readAndDispose } from "../model/read-tensor.js";
import { withScope } from "../model/tensor-scope.js";
import {
  firstGradient,
  inputGradient,
  metricGradient,
  visitGradients,
  zGradients,
  type GradientVisitor,
  type LayerPass,
} from "./backward.js";
import { breathe } from "./breathe.js";
import type { Run } from "./capture.js";
import { loadNeurons } from "./neurons.js";

/** Mean gradients along the line at every site, in forward order. */
export async function visitMeanGradients(line: Line, visit: GradientVisitor): Promise<void> {
  const { model, runs, answers, rules, withNeurons } = line;
  await withScope(async (ownAll) => {
    const atClean = new Map<string, Tensor>();
    await visitGradients({ model, run: runs.clean, answers, rules }, (at, gradient_RD) => {
      atClean.set(siteHook(at), ownAll(tf.clone(gradient_RD)));
      return Promise.resolve();
    });
    for (const at of sitesOfLayers(withNeurons ? SITES : SAE_SITES, model.config.nLayers))
      await visitSite(line, at, atClean.get(siteHook(at)) ?? null, visit);
  });
}

/** What the sites of a call share. */
export interface Line {
  readonly model: Model;
  readonly runs: { readonly clean: Run; readonly corrupted: Run };
  readonly answers: Answers;
  /** Points of the line. */
  readonly steps: number;
  readonly rules: BackwardRules;
  readonly withNeurons: boolean;
  /** Told each gradient that was computed. */
  readonly onStep: () => void;
}

/** Visits one site with its mean gradient. @param atClean_RD - the clean run's; null: it is computed as the others are. */
async function visitSite(line: Line, at: SiteAt, atClean_RD: Tensor | null, visit: GradientVisitor): Promise<void> {
  const { model, runs, steps, onStep } = line;
  await withScope(async (own) => {
    const ends = await endsOf(model, runs, at);
    if (!isSaeSite(at)) Object.values(ends).forEach(own);
    const gradientAt = async (alpha: number): Promise<Tensor> => {
      const x_RD = own(between(ends.clean, ends.corrupted, alpha));
      const gradient_RD = own(await gradientFrom(line, at, x_RD));
      x_RD.dispose();
      return gradient_RD;
    };
    let sum_RD = atClean_RD === null ? await gradientAt(0) : own(tf.clone(atClean_RD));
    for (let step = 1; step < steps; step++) {
      const gradient_RD = await gradientAt(step / steps);
      const next_RD = own(tf.add(sum_RD, gradient_RD));
      tf.dispose([sum_RD, gradient_RD]);
      sum_RD = next_RD;
      onStep();
      await breathe();
    }
    await visit(at, own(tf.mul(sum_RD, 1 / steps)));
  });
}

/** The site's activation in both runs. Owner: the runs, or of neurons the caller. */
async function endsOf(
  model: Model,
  { clean, corrupted }: Line["runs"],
  at: SiteAt,
): Promise<{ readonly clean: Tensor; readonly corrupted: Tensor }> {
  if (isSaeSite(at)) return { clean: clean.site(at), corrupted: corrupted.site(at) };
  const [cleanEnd, corruptedEnd] = await loadNeurons(model, [clean, corrupted], at.layer);
  return { clean: must(cleanEnd, "clean neurons"), corrupted: must(corruptedEnd, "corrupted neurons") };
}

function between(clean_RD: Tensor, corrupted_RD: Tensor, alpha: number): Tensor {
  return tf.tidy(() => tf.add(tf.mul(clean_RD, 1 - alpha), tf.mul(corrupted_RD, alpha)));
}

/** Gradient of the summed metric at site `at` where its activation is `x_RD` and all before it is the run's. Owner: caller. */
async function gradientFrom(line: Line, at: SiteAt, x_RD: Tensor): Promise<Tensor> {
  const { model, answers, rules } = line;
  const run = line.runs.clean;
  return await withScope(async (own) => {
    const passes: LayerPass[] = [];
    let output_RD = x_RD;
    await walkLayers(model, layersFrom(model.config, at.layer), (layer) => {
      if (layer === at.layer) {
        output_RD = own(outputWith(model, run, at, x_RD));
        return;
      }
      const kept = own(new KeptProducts());
      const context = layerContext(model, layer, AUTODIFF_RULES, kept.keep);
      const z_RZ = own(attend(context, output_RD, run.frame));
      const first = firstGradient(model.config, run.frame, layer);
      passes.push({ frame: run.frame, input_RD: output_RD, z_RZ, kept, first });
      output_RD = own(afterAttention(context, output_RD, z_RZ));
    });
    const logits = await readAndDispose(answerLogits(model, output_RD, run.frame.batch, answers));
    let gradient_RD = own(metricGradient(line, output_RD, logits));
    await walkLayers(model, layersFrom(model.config, at.layer).reverse(), (layer) => {
      if (layer === at.layer) {
        gradient_RD = own(siteGradient(line, at, x_RD, gradient_RD));
        return;
      }
      const context = layerContext(model, layer, rules);
      const pass = must(passes[layer - at.layer - 1], "pass");
      const { attn_z, direct } = zGradients(context, pass, gradient_RD);
      gradient_RD = own(inputGradient(context, pass, { attn_z: own(attn_z), direct: own(direct) }));
    });
    return tf.clone(gradient_RD);
  });
}

/** Output of layer `at.layer` when its site's activation is `x_RD`. */
function outputWith(model: Model, run: Run, at: SiteAt, x_RD: Tensor): Tensor {
  const context = layerContext(model, at.layer);
  switch (at.site) {
    case "attn_z":
      return afterAttention(context, run.input(at.layer), x_RD);
    case "mlp_post":
    case "mlp_out": {
      const z_RZ = run.site({ site: "attn_z", layer: at.layer });
      return tf.tidy(() => {
        const added_RD = at.site === "mlp_out" ? x_RD : neuronsOutput(context, x_RD);
        return tf.add(attendOutput(context, run.input(at.layer), z_RZ), added_RD);
      });
    }
    case "resid_post":
      return tf.clone(x_RD);
    default:
      return unreachable(at.site);
  }
}

/** From the gradient at the layer's output to the gradient at the site. */
function siteGradient({ model, runs, rules }: Line, at: SiteAt, x_RD: Tensor, gradient_RD: Tensor): Tensor {
  switch (at.site) {
    case "attn_z": {
      const context = layerContext(model, at.layer, rules);
      const input_RD = runs.clean.input(at.layer);
      return tf.tidy(() => tf.grad((z: Tensor) => afterAttention(context, input_RD, z))(x_RD, gradient_RD));
    }
    case "mlp_post": {
      const context = layerContext(model, at.layer, rules);
      return tf.tidy(() => tf.grad((a: Tensor) => neuronsOutput(context, a))(x_RD, gradient_RD));
    }
    case "mlp_out":
    case "resid_post":
      return tf.clone(gradient_RD);
    default:
      return unreachable(at.site);
  }
}
