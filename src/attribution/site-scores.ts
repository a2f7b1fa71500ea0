/**
 * @file Scores of all nodes of one site from the gradient at the site: `gradient . (activation after - activation before)`.
 *
 * 1. `delta = x_corrupted - x_clean` (zero ablation: `-x_clean`); the whole site's score is `g . delta`, a head's its part.
 * 2. Features of both runs are encoded in chunks of rows; the host keeps the (row, feature) entries where they differ.
 * 3. A feature's score is `df (W_dec[i] . g)`, with gathered decoder rows, in chunks.
 * 4. `delta_error = delta - df W_dec` (zero ablation: `+ b_dec`), and the error's score is `g . delta_error`.
 *
 * Source: REFERENCE 3 and 4.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../base/assert.js";
import { readAndDispose } from "../model/read-tensor.js";
import { shapeOf } from "../model/tensor-shape.js";
import { encode, type Sae } from "../sae/sae.js";
import { rowChunks } from "./row-chunks.js";

/** Entries where a feature's activation changes, rows ascending, features ascending within a row. */
export interface FeatureChanges {
  readonly row: Int32Array;
  readonly feature: Int32Array;
  /** Change of the activation. */
  readonly change: Float32Array;
}

/** Factors of a score for each row. */
export interface RowProducts {
  readonly deltaNorm: Float32Array;
  readonly gradNorm: Float32Array;
  readonly dot: Float32Array;
}

/** What happens to the site's SAE nodes between the base and the donor. Owner of the tensor: caller. */
export interface NodeChanges {
  readonly features: FeatureChanges;
  /** Change of the error node, `[R, D]`. */
  readonly error_RD: Tensor;
}

/** `x_corrupted - x_clean`, or `-x_clean` where there is no donor (zero ablation), `[R, D]`. Owner: caller. */
export function siteDelta(clean_RD: Tensor, donor_RD: Tensor | null): Tensor {
  return donor_RD === null ? tf.neg(clean_RD) : tf.sub(donor_RD, clean_RD);
}

/** How the SAE's nodes change from the clean run to the donor (zero where there is none). */
export async function nodeChanges(sae: Sae, clean_RD: Tensor, donor_RD: Tensor | null): Promise<NodeChanges> {
  const [R, D] = shapeOf(clean_RD, "RD");
  const found = { row: [] as number[], feature: [] as number[], change: [] as number[] };
  const errors: Tensor[] = [];
  try {
    for (const { start, count } of rowChunks(R, sae.dSae)) {
      const rows = (x: Tensor): Tensor => tf.slice(x, [start, 0], [count, D]);
      const { change_RF, error_RD } = tf.tidy(() => {
        const [clean, donor] = [rows(clean_RD), donor_RD === null ? null : rows(donor_RD)];
        const f_clean = encode(sae, clean);
        const change_RF = donor === null ? tf.neg(f_clean) : tf.sub(encode(sae, donor), f_clean);
        const kept = tf.sub(siteDelta(clean, donor), tf.matMul(change_RF, sae.W_dec_FD));
        return { change_RF, error_RD: donor === null ? tf.add(kept, sae.b_dec_D) : kept };
      });
      errors.push(error_RD);
      collect(await readAndDispose(change_RF), sae.dSae, start, found);
    }
    const error_RD = tf.concat(errors, 0);
    const features = {
      row: Int32Array.from(found.row),
      feature: Int32Array.from(found.feature),
      change: Float32Array.from(found.change),
    };
    return { features, error_RD };
  } finally {
    tf.dispose(errors);
  }
}

function collect(
  change_RF: Float32Array,
  F: number,
  firstRow: number,
  found: { readonly row: number[]; readonly feature: number[]; readonly change: number[] },
): void {
  for (let i = 0; i < change_RF.length; i++) {
    const change = change_RF[i] as number;
    if (change === 0) continue;
    found.row.push(firstRow + Math.floor(i / F));
    found.feature.push(i % F);
    found.change.push(change);
  }
}

/** `df (W_dec[i] . g)` for each entry. */
export async function featureScores(sae: Sae, gradient_RD: Tensor, changes: FeatureChanges): Promise<Float32Array> {
  const scores = new Float32Array(changes.row.length);
  for (const { start, count } of rowChunks(changes.row.length, sae.dIn)) {
    const dots = tf.tidy(() => {
      const g = tf.gather(gradient_RD, tf.tensor1d(changes.row.subarray(start, start + count), "int32"));
      const w = tf.gather(sae.W_dec_FD, tf.tensor1d(changes.feature.subarray(start, start + count), "int32"));
      return tf.sum(tf.mul(g, w), -1);
    });
    const values = await readAndDispose(dots);
    for (let i = 0; i < count; i++)
      scores[start + i] = must(values[i], "score") * must(changes.change[start + i], "change");
  }
  return scores;
}

/** `g . delta` for each row, `[R]`; with `heads`, for each row and head, `[R, heads]`. */
export async function dotScores(gradient_RD: Tensor, delta_RD: Tensor, heads = 1): Promise<Float32Array> {
  const [R, D] = shapeOf(gradient_RD, "RD");
  return await readAndDispose(
    tf.tidy(() => tf.sum(tf.reshape(tf.mul(gradient_RD, delta_RD), [R, heads, D / heads]), -1)),
  );
}

/** Norms of delta and gradient and their dot product, for each row. */
export async function rowProducts(gradient_RD: Tensor, delta_RD: Tensor): Promise<RowProducts> {
  const norm = (x: Tensor): Tensor => tf.tidy(() => tf.sqrt(tf.sum(tf.square(x), -1)));
  return {
    deltaNorm: await readAndDispose(norm(delta_RD)),
    gradNorm: await readAndDispose(norm(gradient_RD)),
    dot: await dotScores(gradient_RD, delta_RD),
  };
}
