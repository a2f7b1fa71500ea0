/**
 * @file Sums of one site over a block:
 *
 * 1. the rows of each batch are encoded, equal ones once;
 * 2. the clean side's rows are added prompt after prompt, then the corrupted side's, in float64: the order in which they would be added were
 *    each of them computed by itself;
 * 3. features that differ between a row and its counterpart are marked.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../../base/assert.js";
import type { SiteAt } from "../../nodes/site.js";
import { read, readAndDispose } from "../../model/read-tensor.js";
import { type ActiveFeatures, differences, encodeActive, errorOfActive } from "../../sae/active-features.js";
import type { Sae } from "../../sae/sae.js";
import { firstNonFinite, nonFinite } from "../../passes/non-finite.js";
import { rowChunks } from "../../passes/row-chunks.js";
import type { FeatureSums } from "../../artifacts/means-payload.js";
import type { MeansBlock, MeansSide, RowPairs } from "./means-block.js";

/** Each batch's activation at a site. */
export type Batches = readonly Tensor[];

/** Sums of one site. */
export interface SiteSums {
  readonly features: FeatureSums;
  /** `[positions, D]`. */
  readonly errors: Float64Array;
}

/** Sums of a site's features and errors. */
export async function sumSite(sae: Sae, batches: Batches, at: SiteAt, block: MeansBlock): Promise<SiteSums> {
  const encoded: { readonly active: ActiveFeatures; readonly errors: Float32Array }[] = [];
  for (const x_RD of batches) encoded.push(await encodeBatch(sae, x_RD));
  const { positions } = must(block.sides[0], "clean").places;
  const features = new Float64Array(positions * sae.dSae);
  const errors = new Float64Array(positions * sae.dIn);
  for (const side of block.sides) {
    const own = must(encoded[side.batch], "batch");
    checkRows(own.errors, { at, side, width: sae.dIn }, block);
    addEntries(features, own.active, side, sae.dSae);
    addRows(errors, own.errors, side, sae.dIn);
  }
  const lists = block.sides.map(({ batch }) => must(encoded[batch], "batch").active);
  return { features: sparseSums(features, differing(lists, block, sae.dSae)), errors };
}

/** Sums of a site's own activations, `[positions, D]`. */
export async function sumPlainSite(batches: Batches, at: SiteAt, block: MeansBlock): Promise<Float64Array> {
  const width = must(batches[0]?.shape[1], "width");
  const sums = new Float64Array(must(block.sides[0], "clean").places.positions * width);
  const values: Float32Array[] = [];
  for (const x_RD of batches) values.push(await read(x_RD));
  for (const side of block.sides) {
    const own = must(values[side.batch], "batch");
    checkRows(own, { at, side, width }, block);
    addRows(sums, own, side, width);
  }
  return sums;
}

/** What fires in the rows of a batch, and their errors. */
async function encodeBatch(
  sae: Sae,
  x_RD: Tensor,
): Promise<{ readonly active: ActiveFeatures; readonly errors: Float32Array }> {
  const rows = must(x_RD.shape[0], "rows");
  const errors = new Float32Array(rows * sae.dIn);
  const lists: ActiveFeatures[] = [];
  for (const { start, count } of rowChunks(rows, sae.dSae)) {
    const rows_RD = tf.slice(x_RD, [start, 0], [count, sae.dIn]);
    const active = encodeActive(sae, rows_RD);
    const e_RD = errorOfActive(sae, rows_RD, active);
    rows_RD.dispose();
    errors.set(await readAndDispose(e_RD), start * sae.dIn);
    lists.push(active);
  }
  return { active: joinLists(lists), errors };
}

/** Lists of rows that come one after the other. */
function joinLists(lists: readonly ActiveFeatures[]): ActiveFeatures {
  if (lists.length === 1) return must(lists[0], "list");
  const entries = lists.reduce((sum, { feature }) => sum + feature.length, 0);
  const rows = lists.reduce((sum, { pointer }) => sum + pointer.length - 1, 0);
  const joined = {
    pointer: new Int32Array(rows + 1),
    feature: new Int32Array(entries),
    value: new Float32Array(entries),
  };
  let [row, entry] = [0, 0];
  for (const { pointer, feature, value } of lists) {
    for (let i = 1; i < pointer.length; i++) joined.pointer[row + i] = entry + (pointer[i] as number);
    joined.feature.set(feature, entry);
    joined.value.set(value, entry);
    row += pointer.length - 1;
    entry += feature.length;
  }
  return joined;
}

/** @throws PatchbayError `non_finite` where a value of the side's rows is not finite. */
function checkRows(
  values: Float32Array,
  { at, side, width }: { readonly at: SiteAt; readonly side: MeansSide; readonly width: number },
  { prompts }: MeansBlock,
): void {
  const bad = firstNonFinite(values);
  if (bad < 0) return;
  const holds = side.rowOf.findIndex((row) => firstNonFinite(values.subarray(row * width, (row + 1) * width)) >= 0);
  if (holds < 0) return;
  const row = must(side.rowOf[holds], "row");
  const value = must(values.subarray(row * width, (row + 1) * width).find((one) => !Number.isFinite(one)), "value"); // prettier-ignore
  const prompt = must(prompts[Math.floor(holds / side.places.T)], "prompt");
  throw nonFinite({ quantity: "activation", at, side: side.side, prompt, value });
}

/** Adds a side's rows to the sums of their positions. */
function addRows(sums: Float64Array, values: Float32Array, { rowOf, places }: MeansSide, width: number): void {
  const { T, positionOf, shareOf } = places;
  for (const [flat, row] of rowOf.entries()) {
    const [position, share] = [positionOf[flat % T] as number, shareOf[flat % T] as number];
    if (position < 0) continue;
    const to = position * width;
    const from = row * width;
    for (let i = 0; i < width; i++) sums[to + i] = (sums[to + i] as number) + share * (values[from + i] as number);
  }
}

/** The same for lists of features. */
function addEntries(sums: Float64Array, active: ActiveFeatures, { rowOf, places }: MeansSide, F: number): void {
  const { pointer, feature, value } = active;
  const { T, positionOf, shareOf } = places;
  for (const [flat, row] of rowOf.entries()) {
    const [position, share] = [positionOf[flat % T] as number, shareOf[flat % T] as number];
    if (position < 0) continue;
    for (let entry = pointer[row] as number; entry < (pointer[row + 1] as number); entry++) {
      const to = position * F + (feature[entry] as number);
      sums[to] = (sums[to] as number) + share * (value[entry] as number);
    }
  }
}

/** Marks the features that differ in some pair of rows, `[positions x F]`. */
function differing(lists: readonly ActiveFeatures[], { sides, pairs }: MeansBlock, F: number): Uint8Array {
  const { positions, positionOf } = must(sides[0], "clean").places;
  const marks = new Uint8Array(positions * F);
  if (lists.length < 2) return marks;
  const [clean, corrupted] = lists.map((list, i) => listsOfRows(list, i === 0 ? pairs.clean : pairs.corrupted));
  const { pointer, feature } = differences(must(clean, "clean"), must(corrupted, "corrupted"));
  for (const [pair, token] of pairs.token.entries()) {
    const position = positionOf[token] as number;
    if (position < 0) continue;
    for (let entry = pointer[pair] as number; entry < (pointer[pair + 1] as number); entry++)
      marks[position * F + (feature[entry] as number)] = 1;
  }
  return marks;
}

/** The lists of some rows. */
function listsOfRows({ pointer, feature, value }: ActiveFeatures, rows: RowPairs["clean"]): ActiveFeatures {
  const picked = new Int32Array(rows.length + 1);
  for (const [i, row] of rows.entries())
    picked[i + 1] = (picked[i] as number) + (pointer[row + 1] as number) - (pointer[row] as number);
  const entries = picked.at(-1) as number;
  const list = { pointer: picked, feature: new Int32Array(entries), value: new Float32Array(entries) };
  for (const [i, row] of rows.entries()) {
    list.feature.set(feature.subarray(pointer[row], pointer[row + 1]), picked[i]);
    list.value.set(value.subarray(pointer[row], pointer[row + 1]), picked[i]);
  }
  return list;
}

function sparseSums(features: Float64Array, differs: Uint8Array): FeatureSums {
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
