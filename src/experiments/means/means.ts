/**
 * @file Sums of activations over the clean and corrupted runs of a block, for mean ablation: of features and errors, or, without SAEs, of
 * whole sites, and of neurons where circuits are made of them.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../../base/assert.js";
import { SIDES, type MetricReduce, type Prompt, type Side } from "../../nodes/prompt.js";
import { SAE_SITES, siteHook, type SiteAt } from "../../nodes/site.js";
import type { LayerActivations } from "../../model/forward.js";
import { loadAnswers, metricsOf } from "../../model/metric.js";
import { layerContext, type Model } from "../../model/model.js";
import { read, readAndDispose } from "../../model/read-tensor.js";
import { withScope } from "../../model/tensor-scope.js";
import { shapeOf } from "../../model/tensor-shape.js";
import { differences, eachEntry, encodeActive, errorOfActive, type ActiveFeatures } from "../../sae/active-features.js";
import type { Sae } from "../../sae/sae.js";
import type { OnProgress } from "../../passes/breathe.js";
import { idsOf, visitLayers } from "../../passes/capture.js";
import { checkMetrics, firstNonFinite, nonFinite } from "../../passes/non-finite.js";
import { neuronsOf } from "../../passes/neurons.js";
import { rowChunks } from "../../passes/row-chunks.js";
import type { SplicedModel } from "../../passes/spliced-model.js";
import type { FeatureSums, MeansResult } from "../../artifacts/means-payload.js";

/** Both runs' activation at a site; one alone for a plain dataset. */
type Sides = readonly Tensor[];

/** Rows of `width` numbers, the first of which is flat row `start`; prompts have `T` positions. */
interface Rows {
  readonly start: number;
  readonly width: number;
  readonly T: number;
}

/** Running sums of one site. */
interface SiteSums {
  readonly features: Float64Array;
  readonly differs: Uint8Array;
  readonly errors: Float64Array;
}

/** How means are computed. */
export interface MeansOptions {
  /** Whether neurons are averaged too. */
  readonly neurons?: boolean;
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
  { neurons = false, onProgress }: MeansOptions = {},
): Promise<MeansResult> {
  const { model } = spliced;
  const names: readonly Side[] = prompts.every(({ corrupted }) => corrupted !== null) ? SIDES : ["clean"];
  const features = new Map<string, FeatureSums>();
  const errors = new Map<string, Float64Array>();
  const sites = new Map<string, Float64Array>();
  return await withScope(async (own) => {
    const answers = own(await loadAnswers(model.embedding, prompts, reduce));
    const ids = names.map((side) => idsOf(prompts, side));
    const logits = await visitLayers(
      model,
      { sides: ids, answers, also: spliced.saesOf },
      async (layer, activations, inputs) => {
        for (const site of SAE_SITES) {
          const at = { site, layer };
          const sides = activations.map((side) => side[site]);
          if (spliced.saes.length === 0) sites.set(siteHook(at), await sumPlainSite(sides, at, prompts));
          const sae = spliced.sae(at);
          if (sae === undefined) continue;
          const sums = await sumSite(sae, sides, at, prompts);
          features.set(siteHook(at), sparseSums(sums));
          errors.set(siteHook(at), sums.errors);
        }
        if (neurons) sites.set(...(await sumNeurons(model, layer, { activations, inputs }, prompts)));
        onProgress?.(layer + 1, model.config.nLayers);
      },
    );
    const metrics = logits.map((values) => metricsOf(values, answers));
    for (const [i, metric] of metrics.entries()) checkMetrics(metric, prompts, must(names[i], "side"));
    return { metricClean: must(metrics[0], "clean"), metricCorrupted: metrics[1] ?? null, features, errors, sites };
  });
}

async function sumSite(sae: Sae, sides: Sides, at: SiteAt, prompts: readonly Prompt[]): Promise<SiteSums> {
  const [R, D] = shapeOf(must(sides[0], "clean"), "RD");
  const T = R / prompts.length;
  const F = sae.dSae;
  const sums = {
    features: new Float64Array(T * F),
    differs: new Uint8Array(T * F),
    errors: new Float64Array(T * D),
  };
  for (const { start, count } of rowChunks(R, F)) {
    const lists: ActiveFeatures[] = [];
    for (const [i, side] of sides.entries()) {
      const { active, e_RD } = encodeRows(sae, side, start, count);
      const e = await readAndDispose(e_RD);
      checkRows(e, { start, width: D, T }, { at, side: must(SIDES[i], "side") }, prompts);
      addEntries(sums.features, active, { start, width: F, T });
      addRows(sums.errors, e, { start, width: D, T });
      lists.push(active);
    }
    const [clean, corrupted] = lists;
    if (clean !== undefined && corrupted !== undefined)
      markEntries(sums.differs, differences(clean, corrupted), { start, width: F, T });
  }
  return sums;
}

/** A layer's neurons are computed again from its input: no run keeps them. */
async function sumNeurons(
  model: Model,
  layer: number,
  { activations, inputs }: { readonly activations: readonly LayerActivations[]; readonly inputs: Sides },
  prompts: readonly Prompt[],
): Promise<[hook: string, sums: Float64Array]> {
  const at: SiteAt = { site: "mlp_post", layer };
  const context = layerContext(model, layer);
  return await withScope(async (own) => {
    const sides = activations.map(({ attn_z: z_RZ }, side) =>
      own(neuronsOf(context, { input_RD: must(inputs[side], "input"), z_RZ })),
    );
    return [siteHook(at), await sumPlainSite(sides, at, prompts)];
  });
}

/** Sums of a site's own activations, `[T, D]`. */
async function sumPlainSite(sides: Sides, at: SiteAt, prompts: readonly Prompt[]): Promise<Float64Array> {
  const [R, D] = shapeOf(must(sides[0], "clean"), "RD");
  const T = R / prompts.length;
  const sums = new Float64Array(T * D);
  for (const [i, side] of sides.entries()) {
    const x = await read(side);
    const rows = { start: 0, width: D, T };
    checkRows(x, rows, { at, side: must(SIDES[i], "side") }, prompts);
    addRows(sums, x, rows);
  }
  return sums;
}

/** @throws PatchbayError `non_finite` where a value of these rows is not finite. */
function checkRows(
  values: Float32Array,
  { start, width, T }: Rows,
  { at, side }: { readonly at: SiteAt; readonly side: Side },
  prompts: readonly Prompt[],
): void {
  const bad = firstNonFinite(values);
  if (bad < 0) return;
  const prompt = must(prompts[Math.floor((start + bad / width) / T)], "prompt");
  throw nonFinite({ quantity: "activation", at, side, prompt, value: must(values[bad], "value") });
}

function encodeRows(
  sae: Sae,
  x_RD: Tensor,
  start: number,
  count: number,
): { readonly active: ActiveFeatures; readonly e_RD: Tensor } {
  const rows_RD = tf.slice(x_RD, [start, 0], [count, sae.dIn]);
  const active = encodeActive(sae, rows_RD);
  const e_RD = errorOfActive(sae, rows_RD, active);
  rows_RD.dispose();
  return { active, e_RD };
}

/** Adds rows to the sums of their positions. */
function addRows(sums: Float64Array, values: Float32Array, { start, width, T }: Rows): void {
  let i = 0;
  for (let row = start; i < values.length; row++) {
    const offset = (row % T) * width;
    for (let at = offset; at < offset + width; at++, i++) sums[at] = (sums[at] as number) + (values[i] as number);
  }
}

/** The same for lists of features. */
function addEntries(
  sums: Float64Array,
  { pointer, feature, value }: ActiveFeatures,
  { start, width: F, T }: Rows,
): void {
  eachEntry(pointer, (row, entry) => {
    const at = ((start + row) % T) * F + (feature[entry] as number);
    sums[at] = (sums[at] as number) + (value[entry] as number);
  });
}

function markEntries(differs: Uint8Array, { pointer, feature }: ActiveFeatures, { start, width: F, T }: Rows): void {
  eachEntry(pointer, (row, entry) => (differs[((start + row) % T) * F + (feature[entry] as number)] = 1));
}

function sparseSums({ features, differs }: SiteSums): FeatureSums {
  const index = indexesWhere(features, (sum) => sum !== 0);
  return {
    index,
    sum: Float64Array.from(index, (i) => must(features[i], "sum")),
    differs: indexesWhere(differs, (mark) => mark === 1),
  };
}

function indexesWhere(values: Float64Array | Uint8Array, test: (value: number) => boolean): Int32Array {
  const found: number[] = [];
  for (let i = 0; i < values.length; i++) if (test(values[i] as number)) found.push(i);
  return Int32Array.from(found);
}
