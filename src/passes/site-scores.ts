/**
 * @file How the SAE nodes of one site change from a base run to a donor run, and what a gradient makes of it:
 * `score = gradient . (activation after - activation before)`.
 *
 * 1. Both runs are encoded in chunks of rows, as lists of what fires: `df = f_donor - f_base` (zero ablation: `-f_base`).
 * 2. A feature's score is `df_i (W_dec[i] . g)`, for the listed features only.
 * 3. `delta_error = delta - df W_dec` (zero ablation: `+ b_dec`), and the error's score is `g . delta_error`.
 *
 * Source: REFERENCE 3 and 4.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../base/assert.js";
import { readAndDispose } from "../model/read-tensor.js";
import { shapeOf } from "../model/tensor-shape.js";
import { decodeActive, encodeActive, encodeChanges, scoreActive, type ActiveFeatures } from "../sae/active-features.js";
import type { Sae } from "../sae/sae.js";
import { breathe } from "./breathe.js";
import { rowChunks } from "./row-chunks.js";

/** A number for each feature whose activation changes, rows ascending, features ascending within a row. */
export interface FeatureEntries {
  readonly row: Int32Array;
  readonly feature: Int32Array;
  readonly value: Float32Array;
}

/** What becomes of a site's SAE nodes between the base and the donor. Owner of the tensor: caller. */
export interface SiteNodes {
  /** Changes of activations, or scores; what is 0 is not listed. */
  readonly features: FeatureEntries;
  /** Change of the error node, `[R, D]`. */
  readonly error_RD: Tensor;
}

/** `x_corrupted - x_clean`, or `-x_clean` where there is no donor (zero ablation), `[R, D]`. Owner: caller. */
export function siteDelta(clean_RD: Tensor, donor_RD: Tensor | null): Tensor {
  return donor_RD === null ? tf.neg(clean_RD) : tf.sub(donor_RD, clean_RD);
}

/** How the SAE's nodes change from the clean run to the donor (zero where there is none). */
export async function nodeChanges(sae: Sae, clean_RD: Tensor, donor_RD: Tensor | null): Promise<SiteNodes> {
  return await inChunks(sae, clean_RD, donor_RD, (changes) => ({
    values: changes.value,
    sum_RD: decodeActive(sae, changes),
  }));
}

/** Scores of the SAE's features for the gradient at the site, and how its error node changes. */
export async function nodeScores(
  sae: Sae,
  gradient_RD: Tensor,
  clean_RD: Tensor,
  donor_RD: Tensor | null,
): Promise<SiteNodes> {
  return await inChunks(sae, clean_RD, donor_RD, (changes, rows) => {
    const { sum_RD, dots } = scoreActive(sae, changes, rows(gradient_RD));
    // A plain loop here and below: a site has tens of thousands of entries.
    for (let entry = 0; entry < dots.length; entry++)
      dots[entry] = (dots[entry] as number) * (changes.value[entry] as number);
    return { values: dots, sum_RD };
  });
}

/** Takes a chunk's rows of a `[R, D]` tensor. */
type Rows = (x_RD: Tensor) => Tensor;

/** What is made of a chunk's changes of activations: the values to list, and `df W_dec`. */
interface Decoded {
  readonly values: Float32Array;
  readonly sum_RD: Tensor;
}

/** Encodes and compares chunk by chunk. */
async function inChunks(
  sae: Sae,
  clean_RD: Tensor,
  donor_RD: Tensor | null,
  decoded: (changes: ActiveFeatures, rows: Rows) => Decoded,
): Promise<SiteNodes> {
  const [R, D] = shapeOf(clean_RD, "RD");
  const parts: FeatureEntries[] = [];
  const errors: Tensor[] = [];
  try {
    for (const { start, count } of rowChunks(R, sae.dSae)) {
      const rows = (x: Tensor): Tensor => (count === R ? x : tf.slice(x, [start, 0], [count, D]));
      const error_RD = tf.tidy(() => {
        const [clean, donor] = [rows(clean_RD), donor_RD === null ? null : rows(donor_RD)];
        const changes = featureChanges(sae, clean, donor);
        const { values, sum_RD } = decoded(changes, rows);
        parts.push(entriesOf(changes, values, start));
        const kept = tf.sub(siteDelta(clean, donor), sum_RD);
        return donor === null ? tf.add(kept, sae.b_dec_D) : kept;
      });
      errors.push(error_RD);
      await breathe();
    }
    return {
      features: joined(parts),
      error_RD: errors.length === 1 ? tf.clone(must(errors[0], "errors")) : tf.concat(errors, 0),
    };
  } finally {
    tf.dispose(errors);
  }
}

/** `f_donor - f_clean`, or `-f_clean` where there is no donor. */
function featureChanges(sae: Sae, clean_RD: Tensor, donor_RD: Tensor | null): ActiveFeatures {
  if (donor_RD !== null) return encodeChanges(sae, clean_RD, donor_RD);
  const clean = encodeActive(sae, clean_RD);
  return { ...clean, value: clean.value.map((value) => -value) };
}

/** Entries with a value that is not 0, by flat row. */
function entriesOf({ pointer, feature }: ActiveFeatures, values: Float32Array, firstRow: number): FeatureEntries {
  const all = feature.length;
  const kept = { row: new Int32Array(all), feature: new Int32Array(all), value: new Float32Array(all) };
  let count = 0;
  for (let of = 0; of + 1 < pointer.length; of++)
    for (let entry = pointer[of] as number; entry < (pointer[of + 1] as number); entry++) {
      const value = values[entry] as number;
      if (value === 0) continue;
      kept.row[count] = firstRow + of;
      kept.feature[count] = feature[entry] as number;
      kept.value[count] = value;
      count += 1;
    }
  const { row, feature: of, value } = kept;
  return { row: row.subarray(0, count), feature: of.subarray(0, count), value: value.subarray(0, count) };
}

function joined(parts: readonly FeatureEntries[]): FeatureEntries {
  if (parts.length === 1) return must(parts[0], "entries");
  const size = parts.reduce((total, { row }) => total + row.length, 0);
  const all = { row: new Int32Array(size), feature: new Int32Array(size), value: new Float32Array(size) };
  let offset = 0;
  for (const { row, feature, value } of parts) {
    all.row.set(row, offset);
    all.feature.set(feature, offset);
    all.value.set(value, offset);
    offset += row.length;
  }
  return all;
}

/** `g . delta` for each row, `[R]`; with `heads`, for each row and head, `[R, heads]`. */
export async function dotScores(gradient_RD: Tensor, delta_RD: Tensor, heads = 1): Promise<Float32Array> {
  const [R, D] = shapeOf(gradient_RD, "RD");
  return await readAndDispose(
    tf.tidy(() => tf.sum(tf.reshape(tf.mul(gradient_RD, delta_RD), [R, heads, D / heads]), -1)),
  );
}

/** Euclidean norm of each row, `[R]`. */
export async function rowNorms(x_RD: Tensor): Promise<Float32Array> {
  return await readAndDispose(tf.tidy(() => tf.sqrt(tf.sum(tf.square(x_RD), -1))));
}
