/**
 * @file How the SAE nodes of one site change from a base run to a donor run, and what a gradient makes of it:
 * `score = gradient . (activation after - activation before)`.
 *
 * 1. Both runs are encoded in chunks of rows: `df = f_donor - f_base` (zero ablation: `-f_base`).
 * 2. A feature's score is `df_i (W_dec[i] . g)`: one product for all features of a chunk, of which the host keeps what is
 *    not 0. (Gathering the decoder rows of the features that changed takes longer, except for very wide SAEs on a CPU.)
 * 3. `delta_error = delta - df W_dec` (zero ablation: `+ b_dec`), and the error's score is `g . delta_error`.
 *
 * Source: REFERENCE 3 and 4.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
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

/** What happens to the site's SAE nodes between the base and the donor. Owner of the tensor: caller. */
export interface NodeChanges {
  readonly features: FeatureChanges;
  /** Change of the error node, `[R, D]`. */
  readonly error_RD: Tensor;
}

/** Scores that are not 0, rows ascending, features ascending within a row. */
export interface FeatureScores {
  readonly row: Int32Array;
  readonly feature: Int32Array;
  readonly score: Float32Array;
}

/** Scores of a site's features, and the change of its error node. Owner of the tensor: caller. */
export interface NodeScores {
  readonly features: FeatureScores;
  /** Change of the error node, `[R, D]`. */
  readonly error_RD: Tensor;
}

/** Factors of a score for each row. */
export interface RowProducts {
  readonly deltaNorm: Float32Array;
  readonly gradNorm: Float32Array;
  readonly dot: Float32Array;
}

/** `x_corrupted - x_clean`, or `-x_clean` where there is no donor (zero ablation), `[R, D]`. Owner: caller. */
export function siteDelta(clean_RD: Tensor, donor_RD: Tensor | null): Tensor {
  return donor_RD === null ? tf.neg(clean_RD) : tf.sub(donor_RD, clean_RD);
}

/** How the SAE's nodes change from the clean run to the donor (zero where there is none). */
export async function nodeChanges(sae: Sae, clean_RD: Tensor, donor_RD: Tensor | null): Promise<NodeChanges> {
  const { entries, error_RD } = await inChunks(sae, clean_RD, donor_RD, (change_RF) => change_RF);
  return { features: { row: entries.row, feature: entries.feature, change: entries.value }, error_RD };
}

/** Scores of the SAE's features for the gradient at the site, and how its error node changes. */
export async function nodeScores(
  sae: Sae,
  gradient_RD: Tensor,
  clean_RD: Tensor,
  donor_RD: Tensor | null,
): Promise<NodeScores> {
  const W_dec_DF = tf.transpose(sae.W_dec_FD);
  try {
    const { entries, error_RD } = await inChunks(sae, clean_RD, donor_RD, (change_RF, rows) =>
      tf.mul(change_RF, tf.matMul(rows(gradient_RD), W_dec_DF)),
    );
    return { features: { row: entries.row, feature: entries.feature, score: entries.value }, error_RD };
  } finally {
    W_dec_DF.dispose();
  }
}

/** Takes a chunk's rows of a `[R, D]` tensor. */
type Rows = (x_RD: Tensor) => Tensor;

/** Entries of an `[R, F]` array that are not 0. */
interface Entries {
  readonly row: Int32Array;
  readonly feature: Int32Array;
  readonly value: Float32Array;
}

/** Encodes and compares chunk by chunk; `valueOf` turns changes of activations into the values to list, `[r, F]`. */
async function inChunks(
  sae: Sae,
  clean_RD: Tensor,
  donor_RD: Tensor | null,
  valueOf: (change_RF: Tensor, rows: Rows) => Tensor,
): Promise<{ readonly entries: Entries; readonly error_RD: Tensor }> {
  const [R, D] = shapeOf(clean_RD, "RD");
  const found = { row: [] as number[], feature: [] as number[], value: [] as number[] };
  const errors: Tensor[] = [];
  try {
    for (const { start, count } of rowChunks(R, sae.dSae)) {
      const rows = (x: Tensor): Tensor => (count === R ? x : tf.slice(x, [start, 0], [count, D]));
      const { value_RF, error_RD } = tf.tidy(() => {
        const [clean, donor] = [rows(clean_RD), donor_RD === null ? null : rows(donor_RD)];
        const f_clean = encode(sae, clean);
        const change_RF = donor === null ? tf.neg(f_clean) : tf.sub(encode(sae, donor), f_clean);
        const kept = tf.sub(siteDelta(clean, donor), tf.matMul(change_RF, sae.W_dec_FD));
        return { value_RF: valueOf(change_RF, rows), error_RD: donor === null ? tf.add(kept, sae.b_dec_D) : kept };
      });
      errors.push(error_RD);
      collect(await readAndDispose(value_RF), sae.dSae, start, found);
    }
    const entries = {
      row: Int32Array.from(found.row),
      feature: Int32Array.from(found.feature),
      value: Float32Array.from(found.value),
    };
    return { entries, error_RD: tf.concat(errors, 0) };
  } finally {
    tf.dispose(errors);
  }
}

/** Adds the entries of `[r, F]` values that are not 0; the first row is flat row `firstRow`. */
function collect(
  values: Float32Array,
  F: number,
  firstRow: number,
  found: { readonly row: number[]; readonly feature: number[]; readonly value: number[] },
): void {
  let i = 0;
  for (let row = firstRow; i < values.length; row++)
    for (let feature = 0; feature < F; feature++, i++) {
      const value = values[i] as number;
      if (value === 0) continue;
      found.row.push(row);
      found.feature.push(feature);
      found.value.push(value);
    }
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
