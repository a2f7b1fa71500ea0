/**
 * @file Applies one evaluation's {@link SiteWork} to the live activation of a site.
 *
 * `x' = (live error ? x - y : y) + constant + values from other runs`, where y decodes the live activations that count.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../base/assert.js";
import type { Sae } from "../sae/sae.js";
import type { RunTerm, SiteWork } from "./circuit-site-work.js";

/** Activations of another run at the site, for the same rows. Owner: whoever made them. */
export interface RunActivations {
  readonly features_RF: Tensor;
  readonly errors_RD: Tensor;
}

/** The other runs that a {@link SiteWork} may take values from. */
export interface OtherRuns {
  readonly donor: RunActivations | null;
  readonly unablated: RunActivations | null;
}

/**
 * The site's activation after the intervention, `[R, D]`; rows are prompt after prompt, each with the span's positions.
 * Owner: caller.
 */
export function applySiteWork(sae: Sae, work: SiteWork, x_RD: Tensor, runs: OtherRuns): Tensor {
  return tf.tidy(() => {
    const T = work.errorLive.length;
    const D = sae.dIn;
    const P = x_RD.size / (T * D);
    const rows = [
      ...liveTerms(sae, work, x_RD),
      ...runTerms(sae, work.donor, runs.donor),
      ...runTerms(sae, work.restored, runs.unablated),
    ].map((term) => tf.reshape(term, [P, T, D]));
    const constant_TD = constantOf(sae, work);
    const constants = constant_TD === null ? [] : [tf.reshape(constant_TD, [1, T, D])];
    const terms = rows.length > 0 ? [...rows, ...constants] : [tf.zeros([P, 1, 1]), ...constants];
    return tf.reshape(
      terms.reduce((total, term) => tf.add(total, term)),
      [P * T, D],
    );
  });
}

/** `x - y` at positions with a live error, `y` at the others. */
function liveTerms(sae: Sae, work: SiteWork, x_RD: Tensor): Tensor[] {
  const { errorLive } = work;
  const y_RD = work.gate.length === 0 ? null : decodeLive(sae, work, x_RD);
  if (errorLive.every((live) => live === 1)) return [y_RD === null ? x_RD : tf.sub(x_RD, y_RD)];
  if (errorLive.every((live) => live === 0)) return y_RD === null ? [] : [y_RD];
  const T = errorLive.length;
  const live_T1 = tf.tensor2d(errorLive, [T, 1]);
  const signed = (x: Tensor, weight_T1: Tensor): Tensor => tf.mul(tf.reshape(x, [-1, T, sae.dIn]), weight_T1);
  const kept = signed(x_RD, live_T1);
  return y_RD === null ? [kept] : [kept, signed(y_RD, tf.sub(1, tf.mul(live_T1, 2)))];
}

/** `f W_dec` over the live activations that count at each position, `[R, D]`. */
function decodeLive(sae: Sae, { columns, gate, errorLive }: SiteWork, x_RD: Tensor): Tensor {
  const T = errorLive.length;
  const n = gate.length / T;
  const index = columns === null ? null : tf.tensor1d(columns, "int32");
  const choose = (whole: Tensor, axis: number): Tensor => (index === null ? whole : tf.gather(whole, index, axis));
  const pre_RF = tf.add(tf.matMul(x_RD, choose(sae.W_enc_DF, 1)), choose(sae.b_enc_F, 0));
  const pre_PTF = tf.reshape(pre_RF, [-1, T, n]);
  // step(pre - gate) is 1[pre > gate] exactly, and fast where a comparison is a scalar loop.
  const live_PTF = tf.mul(pre_PTF, tf.step(tf.sub(pre_PTF, tf.tensor2d(gate, [T, n]))));
  return tf.matMul(tf.reshape(live_PTF, [-1, n]), choose(sae.W_dec_FD, 0));
}

/** Values of the nodes that come from another run. */
function runTerms(sae: Sae, term: RunTerm, run: RunActivations | null): Tensor[] {
  const terms: Tensor[] = [];
  const weigh = (activation: Tensor, weights: Float32Array, T: number): Tensor => {
    const width = must(activation.shape[1], "width");
    return tf.mul(tf.reshape(activation, [-1, T, width]), tf.tensor2d(weights, [T, weights.length / T]));
  };
  if (term.features !== null) {
    const f_PTF = weigh(must(run, "run").features_RF, term.features, term.features.length / sae.dSae);
    terms.push(tf.matMul(tf.reshape(f_PTF, [-1, sae.dSae]), sae.W_dec_FD));
  }
  if (term.errors !== null) terms.push(weigh(must(run, "run").errors_RD, term.errors, term.errors.length));
  return terms;
}

/** What does not depend on the prompt, `[T, D]`: constant features decoded, constant errors, b_dec where the error is changed. */
function constantOf(sae: Sae, { features, errors, errorLive }: SiteWork): Tensor | null {
  const T = errorLive.length;
  const terms: Tensor[] = [];
  if (features !== null) terms.push(tf.matMul(tf.tensor2d(features, [T, sae.dSae]), sae.W_dec_FD));
  if (errors !== null) terms.push(tf.tensor2d(errors, [T, sae.dIn]));
  if (errorLive.includes(0)) {
    const changed_T1 = tf.sub(1, tf.tensor2d(errorLive, [T, 1]));
    terms.push(tf.mul(changed_T1, tf.reshape(sae.b_dec_D, [1, sae.dIn])));
  }
  return terms.length === 0 ? null : terms.reduce((total, term) => tf.add(total, term));
}
