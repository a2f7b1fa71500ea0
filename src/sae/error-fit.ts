/**
 * @file An SAE's error split in two: `e_lin = A x + b` of the site's activation x, and `e_non = e - e_lin`. Both are float32 in every dtype.
 *
 * Source: REFERENCE 3; Engels et al., arXiv 2410.14670.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";

/** The fit of a site on the device. Owner of the tensors: whoever loaded it, through `dispose`. */
export interface ErrorFit {
  /** `A^T`: activations are rows, and are multiplied from the left. */
  readonly A_DD: Tensor;
  readonly b_D: Tensor;
  dispose(): void;
}

/** A fit on the host. */
export interface FitArrays {
  /** `A` `[D, D]`, a row for each number of the error. */
  readonly A: Float32Array;
  readonly b: Float32Array;
}

/** Moves a fit to the device. Owner: caller. */
export function loadFit({ A, b }: FitArrays): ErrorFit {
  const A_DD = tf.tidy(() => tf.transpose(tf.tensor2d(A, [b.length, b.length])));
  const b_D = tf.tensor1d(b);
  const dispose = (): void => {
    tf.dispose([A_DD, b_D]);
  };
  return { A_DD, b_D, dispose };
}

/** `e_lin` of each row, `[R, D]`. Owner: caller. */
export function linearPart({ A_DD, b_D }: ErrorFit, x_RD: Tensor): Tensor {
  return tf.tidy(() => tf.add(tf.matMul(x_RD, A_DD), b_D));
}

/** How `e_lin` changes from the clean run to the donor's, or to zero where there is none, `[R, D]`. Owner: caller. */
export function linearChange(fit: ErrorFit, clean_RD: Tensor, donor_RD: Tensor | null): Tensor {
  return tf.tidy(() =>
    donor_RD === null ? tf.neg(linearPart(fit, clean_RD)) : tf.matMul(tf.sub(donor_RD, clean_RD), fit.A_DD),
  );
}
