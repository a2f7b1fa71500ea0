/**
 * @file Sums of activations over the clean and corrupted runs of a block, for means that nodes are set to: of features and errors, of whole
 * sites without SAEs or where they are asked for, and of neurons where they are. Where prompts have spans, a run counts by the mean over the
 * tokens of each span.
 */
import { must } from "../../base/assert.js";
import type { MetricReduce, Prompt } from "../../nodes/prompt.js";
import { SAE_SITES, siteHook, type SiteAt } from "../../nodes/site.js";
import type { LayerActivations } from "../../model/forward.js";
import { loadAnswers, metricsOf } from "../../model/metric.js";
import { layerContext, type Model } from "../../model/model.js";
import { withScope } from "../../model/tensor-scope.js";
import type { OnProgress } from "../../passes/breathe.js";
import { visitLayers } from "../../passes/capture.js";
import { checkMetrics } from "../../passes/non-finite.js";
import { neuronsOf } from "../../passes/neurons.js";
import type { SplicedModel } from "../../passes/spliced-model.js";
import type { FeatureSums, MeansResult } from "../../artifacts/means-payload.js";
import { type MeansBlock, meansBlock } from "./means-block.js";
import { type Batches, sumPlainSite, sumSite } from "./site-sums.js";

/** How means are computed. */
export interface MeansOptions {
  /** Whether neurons are averaged too. */
  readonly neurons?: boolean;
  /** Whether whole sites are averaged where there are SAEs too. */
  readonly sites?: boolean;
  /** False computes equal rows once for each prompt and side. */
  readonly share?: boolean;
  readonly onProgress?: OnProgress;
}

/**
 * Sums over all runs of the block, every run weighted once, in float64. A plain dataset has clean runs only.
 *
 * @throws PatchbayError `non_finite` naming layer, site and prompt line.
 */
export async function computeMeans(
  spliced: SplicedModel,
  prompts: readonly Prompt[],
  reduce: MetricReduce,
  { neurons = false, sites: whole = false, share = true, onProgress }: MeansOptions = {},
): Promise<MeansResult> {
  const { model } = spliced;
  const block = meansBlock(prompts, share);
  const features = new Map<string, FeatureSums>();
  const errors = new Map<string, Float64Array>();
  const sites = new Map<string, Float64Array>();
  return await withScope(async (own) => {
    const answers = own(await loadAnswers(model.embedding, prompts, reduce));
    const logits = await visitLayers(
      model,
      { batches: block.batches, answers, also: spliced.saesOf },
      async (layer, activations, inputs) => {
        for (const site of SAE_SITES) {
          const at = { site, layer };
          const batches = activations.map((batch) => batch[site]);
          if (whole || spliced.saes.length === 0) sites.set(siteHook(at), await sumPlainSite(batches, at, block));
          const sae = spliced.sae(at);
          if (sae === undefined) continue;
          const sums = await sumSite(sae, batches, at, block);
          features.set(siteHook(at), sums.features);
          errors.set(siteHook(at), sums.errors);
        }
        if (neurons) sites.set(...(await sumNeurons(model, layer, { activations, inputs }, block)));
        onProgress?.(layer + 1, model.config.nLayers);
      },
    );
    const metrics = block.sides.map((side) => {
      const perPrompt = answers.ids.length;
      const own = must(logits[side.batch], "logits").subarray(side.first * perPrompt);
      const metric = metricsOf(own, answers);
      checkMetrics(metric, prompts, side.side);
      return metric;
    });
    return { metricClean: must(metrics[0], "clean"), metricCorrupted: metrics[1] ?? null, features, errors, sites };
  });
}

/** A layer's neurons are computed again from its input: no run keeps them. */
async function sumNeurons(
  model: Model,
  layer: number,
  { activations, inputs }: { readonly activations: readonly LayerActivations[]; readonly inputs: Batches },
  block: MeansBlock,
): Promise<[hook: string, sums: Float64Array]> {
  const at: SiteAt = { site: "mlp_post", layer };
  const context = layerContext(model, layer);
  return await withScope(async (own) => {
    const batches = activations.map(({ attn_z: z_RZ }, batch) =>
      own(neuronsOf(context, { input_RD: must(inputs[batch], "input"), z_RZ })),
    );
    return [siteHook(at), await sumPlainSite(batches, at, block)];
  });
}
