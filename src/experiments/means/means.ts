/**
 * @file Sums of activations over the clean and corrupted runs of a block, for means that nodes are set to: of features and errors, of whole
 * sites without SAEs or where they are asked for, and of neurons where they are. Where prompts have spans, a run counts by the mean over the
 * tokens of each span.
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
import { hostValues, withScope } from "../../model/tensor-scope.js";
import { differences, eachEntry, encodeActive, errorOfActive, type ActiveFeatures } from "../../sae/active-features.js";
import type { Sae } from "../../sae/sae.js";
import { alignedIndex, alignRows, needsAlignment } from "../../passes/align-rows.js";
import type { OnProgress } from "../../passes/breathe.js";
import { idsOf, visitLayers } from "../../passes/capture.js";
import { checkMetrics, firstNonFinite, nonFinite } from "../../passes/non-finite.js";
import { neuronsOf } from "../../passes/neurons.js";
import { rowChunks } from "../../passes/row-chunks.js";
import type { SplicedModel } from "../../passes/spliced-model.js";
import { tokenPlaces, type TokenPlaces } from "./token-places.js";
import type { FeatureSums, MeansResult } from "../../artifacts/means-payload.js";

/** Both runs' activation at a site; one alone for a plain dataset. */
type Sides = readonly Tensor[];

/** Rows of `width` numbers, the first of which is flat row `start`. */
interface Rows {
  readonly start: number;
  readonly width: number;
  readonly places: TokenPlaces;
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
  /** Whether whole sites are averaged where there are SAEs too. */
  readonly sites?: boolean;
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
  { neurons = false, sites: whole = false, onProgress }: MeansOptions = {},
): Promise<MeansResult> {
  const { model } = spliced;
  const names: readonly Side[] = prompts.every(({ corrupted }) => corrupted !== null) ? SIDES : ["clean"];
  const block = { prompts, places: names.map((side) => tokenPlaces(prompts, side)) };
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
          if (whole || spliced.saes.length === 0) sites.set(siteHook(at), await sumPlainSite(sides, at, block));
          const sae = spliced.sae(at);
          if (sae === undefined) continue;
          const sums = await sumSite(sae, sides, at, block);
          features.set(siteHook(at), sparseSums(sums));
          errors.set(siteHook(at), sums.errors);
        }
        if (neurons) sites.set(...(await sumNeurons(model, layer, { activations, inputs }, block)));
        onProgress?.(layer + 1, model.config.nLayers);
      },
    );
    const metrics = logits.map((values) => metricsOf(values, answers));
    for (const [i, metric] of metrics.entries()) checkMetrics(metric, prompts, must(names[i], "side"));
    return { metricClean: must(metrics[0], "clean"), metricCorrupted: metrics[1] ?? null, features, errors, sites };
  });
}

/** The prompts of a block, and where each side's tokens stand. */
interface MeansBlock {
  readonly prompts: readonly Prompt[];
  readonly places: readonly TokenPlaces[];
}

async function sumSite(sae: Sae, sides: Sides, at: SiteAt, block: MeansBlock): Promise<SiteSums> {
  const [clean, F] = [must(block.places[0], "clean"), sae.dSae];
  const sums = {
    features: new Float64Array(clean.positions * F),
    differs: new Uint8Array(clean.positions * F),
    errors: new Float64Array(clean.positions * sae.dIn),
  };
  const chunks = sides.map((side) => rowChunks(must(side.shape[0], "rows"), F));
  const aligned_RD = alignedSide(sides, block.prompts);
  for (let chunk = 0; chunk < Math.max(...chunks.map(({ length }) => length)); chunk++) {
    const lists: (ActiveFeatures | undefined)[] = [];
    for (const [i, side] of sides.entries()) {
      const rows = chunks[i]?.[chunk];
      lists.push(rows === undefined ? undefined : await sumRows(sae, { side, i, ...rows }, at, { block, sums }));
    }
    const rows = chunks[0]?.[chunk];
    const own = lists[0];
    const other = aligned_RD === null || rows === undefined ? lists[1] : encodeChunk(sae, aligned_RD, rows);
    if (rows !== undefined && own !== undefined && other !== undefined)
      markEntries(sums.differs, differences(own, other), { start: rows.start, width: F, places: clean });
  }
  aligned_RD?.dispose();
  return sums;
}

/** Adds some rows of one side to a site's sums. Gives what fires in them. */
async function sumRows(
  sae: Sae,
  {
    side,
    i,
    start,
    count,
  }: { readonly side: Tensor; readonly i: number; readonly start: number; readonly count: number },
  at: SiteAt,
  { block, sums }: { readonly block: MeansBlock; readonly sums: SiteSums },
): Promise<ActiveFeatures> {
  const places = must(block.places[i], "side");
  const { active, e_RD } = encodeRows(sae, side, start, count);
  const e = await readAndDispose(e_RD);
  checkRows(e, { start, width: sae.dIn, places }, { at, side: must(SIDES[i], "side") }, block.prompts);
  addEntries(sums.features, active, { start, width: sae.dSae, places });
  addRows(sums.errors, e, { start, width: sae.dIn, places });
  return active;
}

/** The corrupted rows in the places of the clean ones, where they stand elsewhere. Owner: caller. */
function alignedSide([clean_RD, corrupted_RD]: Sides, prompts: readonly Prompt[]): Tensor | null {
  if (clean_RD === undefined || corrupted_RD === undefined || !needsAlignment(prompts)) return null;
  return alignRows(clean_RD, corrupted_RD, alignedIndex(prompts));
}

function encodeChunk(
  sae: Sae,
  x_RD: Tensor,
  { start, count }: { readonly start: number; readonly count: number },
): ActiveFeatures {
  return hostValues(() => encodeActive(sae, tf.slice(x_RD, [start, 0], [count, sae.dIn])));
}

/** A layer's neurons are computed again from its input: no run keeps them. */
async function sumNeurons(
  model: Model,
  layer: number,
  { activations, inputs }: { readonly activations: readonly LayerActivations[]; readonly inputs: Sides },
  block: MeansBlock,
): Promise<[hook: string, sums: Float64Array]> {
  const at: SiteAt = { site: "mlp_post", layer };
  const context = layerContext(model, layer);
  return await withScope(async (own) => {
    const sides = activations.map(({ attn_z: z_RZ }, side) =>
      own(neuronsOf(context, { input_RD: must(inputs[side], "input"), z_RZ })),
    );
    return [siteHook(at), await sumPlainSite(sides, at, block)];
  });
}

/** Sums of a site's own activations, `[positions, D]`. */
async function sumPlainSite(sides: Sides, at: SiteAt, { prompts, places }: MeansBlock): Promise<Float64Array> {
  const width = must(sides[0]?.shape[1], "width");
  const sums = new Float64Array(must(places[0], "clean").positions * width);
  for (const [i, side] of sides.entries()) {
    const x = await read(side);
    const rows = { start: 0, width, places: must(places[i], "side") };
    checkRows(x, rows, { at, side: must(SIDES[i], "side") }, prompts);
    addRows(sums, x, rows);
  }
  return sums;
}

/** @throws PatchbayError `non_finite` where a value of these rows is not finite. */
function checkRows(
  values: Float32Array,
  { start, width, places: { T } }: Rows,
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
function addRows(
  sums: Float64Array,
  values: Float32Array,
  { start, width, places: { T, positionOf, shareOf } }: Rows,
): void {
  let i = 0;
  for (let row = start; i < values.length; row++) {
    const [position, share] = [positionOf[row % T] as number, shareOf[row % T] as number];
    const offset = position * width;
    for (let at = offset; at < offset + width; at++, i++)
      if (position >= 0) sums[at] = (sums[at] as number) + share * (values[i] as number);
  }
}

/** The same for lists of features. */
function addEntries(
  sums: Float64Array,
  { pointer, feature, value }: ActiveFeatures,
  { start, width: F, places: { T, positionOf, shareOf } }: Rows,
): void {
  eachEntry(pointer, (row, entry) => {
    const token = (start + row) % T;
    const position = positionOf[token] as number;
    if (position < 0) return;
    const at = position * F + (feature[entry] as number);
    sums[at] = (sums[at] as number) + (shareOf[token] as number) * (value[entry] as number);
  });
}

function markEntries(
  differs: Uint8Array,
  { pointer, feature }: ActiveFeatures,
  { start, width: F, places: { T, positionOf } }: Rows,
): void {
  eachEntry(pointer, (row, entry) => {
    const position = positionOf[(start + row) % T] as number;
    if (position >= 0) differs[position * F + (feature[entry] as number)] = 1;
  });
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
