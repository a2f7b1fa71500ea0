/**
 * @file Applies one evaluation's {@link SiteWork} to the live activation of a site.
 *
 * `x' = (error live ? x - y : y) + constant + values from other runs`, where y decodes the live activations that count. Where errors are
 * split, their linear parts come on top: the live one, that of the means, those of other runs.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../../base/assert.js";
import { hasKernel } from "../../model/layer-kernels.js";
import { decodeActive, encodeActive, SAE_KERNELS, type ActiveFeatures } from "../../sae/active-features.js";
import { type ErrorFit, linearPart } from "../../sae/error-fit.js";
import type { Sae } from "../../sae/sae.js";
import type { PartWork, PositionGroup, RunTerm, SiteWork } from "./circuit-site-work.js";
import { positionOf, type RowPositions, withPositionValues } from "./position-values.js";
import { rowChunks } from "../../passes/row-chunks.js";

/** Activations of another run at the site, for the same rows. Owner: whoever made them. */
export interface RunActivations {
  readonly features_RF: Tensor;
  readonly errors_RD: Tensor;
  /** Linear parts of the errors; null where errors are not split. */
  readonly linear_RD: Tensor | null;
}

/** How the errors of a site are split. Owner of the tensors: whoever made them. */
export interface SplitErrors {
  readonly fit: ErrorFit;
  /** Mean parts over the span, `[T, D]`; null where nothing is ablated to the mean. */
  readonly means: { readonly linear_TD: Tensor; readonly nonlinear_TD: Tensor } | null;
}

/** The other runs that a {@link SiteWork} may take values from, and how errors are split where it changes parts of them. */
export interface OtherRuns {
  readonly donor: RunActivations | null;
  readonly unablated: RunActivations | null;
  readonly split: SplitErrors | null;
}

/**
 * The constant features of several evaluations decoded, each `[T, D]`; null where an evaluation has none. One product for many, so that
 * the decoder comes from memory once. Owner: caller.
 */
export function decodeConstants(sae: Sae, works: readonly (SiteWork | undefined)[], T: number): (Tensor | null)[] {
  const F = sae.dSae;
  const wanted = works.map((work) => work?.features ?? null);
  const given = wanted.filter((features) => features !== null);
  const decoded = rowChunks(given.length, T * F).flatMap(({ start, count }) => {
    const values = new Float32Array(count * T * F);
    for (const [i, features] of given.slice(start, start + count).entries()) values.set(features, i * T * F);
    return tf.split(tf.matMul(tf.tensor2d(values, [count * T, F]), sae.W_dec_FD), count);
  });
  let next = 0;
  return wanted.map((features) => (features === null ? null : must(decoded[next++], "constant")));
}

/** An evaluation's work at a site, and its constant features from {@link decodeConstants}. */
export interface SplicedWork {
  readonly work: SiteWork;
  readonly constant_TD: Tensor | null;
  /** Which position of the span each row has; null where rows are prompt after prompt, each with the span's positions. */
  readonly positions: Int32Array | null;
}

/** The site's activation after the intervention, `[R, D]`. Owner: caller. */
export function applySiteWork(
  sae: Sae,
  { work, constant_TD, positions }: SplicedWork,
  x_RD: Tensor,
  runs: OtherRuns,
): Tensor {
  return tf.tidy(() => {
    const T = work.groups.reduce((total, group) => total + group.positions.length, 0);
    const at = { T, of: positions };
    const terms = [
      liveTerm(sae, work.groups, x_RD, at),
      ...runTerms(sae, work.donor, runs.donor, at),
      ...runTerms(sae, work.restored, runs.unablated, at),
      ...(work.parts === undefined ? [] : partTerms(work.parts, x_RD, runs, at)),
    ];
    const ofPositions = [...constantTerms(sae, work, constant_TD, T), ...meanPartTerms(work.parts, runs.split)];
    return ofPositions.reduce(
      (total, term_TD) => withPositionValues(tf.add, total, term_TD, at),
      terms.reduce((total, term) => tf.add(total, term)),
    );
  });
}

/** `x - y` where the error is live, `y` where it is changed, with y the decoded live activations that count, `[R, D]`. */
function liveTerm(sae: Sae, groups: readonly PositionGroup[], x_RD: Tensor, at: RowPositions): Tensor {
  if (groups.length === 1) return groupTerm(sae, must(groups[0], "group"), x_RD, at);
  const rows = groupRows(groups, x_RD.size / sae.dIn, at);
  const parts = groups.map((group, g) => {
    const own = must(rows[g], "rows");
    const of = at.of === null ? null : own.map((row) => group.positions.indexOf(positionOf(at, row)));
    return groupTerm(sae, group, tf.gather(x_RD, tf.tensor1d(own, "int32")), { T: group.positions.length, of });
  });
  return tf.gather(tf.concat(parts), originalOrder(rows));
}

/** The same of rows that all are at positions of one group. */
function groupTerm(sae: Sae, group: PositionGroup, x_RD: Tensor, at: RowPositions): Tensor {
  const y_RD = group.gate.length === 0 ? null : decodeLive(sae, group, x_RD, at);
  if (group.errorLive) return y_RD === null ? x_RD : tf.sub(x_RD, y_RD);
  return y_RD ?? tf.zerosLike(x_RD);
}

/** The rows at each group's positions, ascending. */
function groupRows(groups: readonly PositionGroup[], rows: number, at: RowPositions): Int32Array[] {
  const groupOf = new Int32Array(at.T);
  for (const [g, { positions }] of groups.entries()) for (const position of positions) groupOf[position] = g;
  const found = groups.map((): number[] => []);
  for (let row = 0; row < rows; row++) found[groupOf[positionOf(at, row)] as number]?.push(row);
  return found.map((own) => Int32Array.from(own));
}

/** Where each row lies when the groups' rows are put one group after the other. */
function originalOrder(groups: readonly Int32Array[]): Tensor {
  const order = new Int32Array(groups.reduce((sum, rows) => sum + rows.length, 0));
  let next = 0;
  for (const rows of groups) for (const row of rows) order[row] = next++;
  return tf.tensor1d(order, "int32");
}

/** `f W_dec` over the live activations that count at each position of a group, `[R, D]`. */
function decodeLive(sae: Sae, { columns, gate }: PositionGroup, x_RD: Tensor, at: RowPositions): Tensor {
  const n = gate.length / at.T;
  if (columns === null && hasKernel(SAE_KERNELS.decode))
    return decodeActive(sae, whereCounting(encodeActive(sae, x_RD), gate, at));
  const index = columns === null ? null : tf.tensor1d(columns, "int32");
  const choose = (whole: Tensor, axis: number): Tensor => (index === null ? whole : tf.gather(whole, index, axis));
  const pre_RF = tf.add(tf.matMul(x_RD, choose(sae.W_enc_DF, 1)), choose(sae.b_enc_F, 0));
  // step(pre - gate) is 1[pre > gate] exactly, and fast where a comparison is a scalar loop.
  const over_RF = withPositionValues(tf.sub, pre_RF, tf.tensor2d(gate, [at.T, n]), at);
  return tf.matMul(tf.mul(pre_RF, tf.step(over_RF)), choose(sae.W_dec_FD, 0));
}

/** The entries that count at their position: those with a finite gate, `[T, F]`. */
function whereCounting(
  { pointer, feature, value }: ActiveFeatures,
  gate: Float32Array,
  at: RowPositions,
): ActiveFeatures {
  const F = gate.length / at.T;
  const kept = {
    pointer: new Int32Array(pointer.length),
    feature: new Int32Array(feature.length),
    value: new Float32Array(feature.length),
  };
  let count = 0;
  for (let row = 0; row + 1 < pointer.length; row++) {
    const first = positionOf(at, row) * F;
    for (let entry = pointer[row] as number; entry < (pointer[row + 1] as number); entry++) {
      if (gate[first + (feature[entry] as number)] === Number.POSITIVE_INFINITY) continue;
      kept.feature[count] = feature[entry] as number;
      kept.value[count] = value[entry] as number;
      count += 1;
    }
    kept.pointer[row + 1] = count;
  }
  return {
    pointer: kept.pointer,
    feature: kept.feature.subarray(0, count),
    value: kept.value.subarray(0, count),
  };
}

/** Values of the nodes that come from another run, each `[R, D]`. */
function runTerms(sae: Sae, term: RunTerm, run: RunActivations | null, at: RowPositions): Tensor[] {
  const terms: Tensor[] = [];
  if (term.features !== null)
    terms.push(tf.matMul(weigh(must(run, "the other run").features_RF, term.features, at), sae.W_dec_FD));
  if (term.errors !== null) terms.push(weigh(must(run, "the other run").errors_RD, term.errors, at));
  return terms;
}

/** Rows times the weights of their positions, `[T, W]` or `[T]`. */
function weigh(x_RW: Tensor, weights: Float32Array, at: RowPositions): Tensor {
  return withPositionValues(tf.mul, x_RW, tf.tensor2d(weights, [at.T, weights.length / at.T]), at);
}

/** Parts of errors that depend on the prompt: the live linear part, and what comes from other runs, each `[R, D]`. */
function partTerms({ live, donor, restored }: PartWork, x_RD: Tensor, runs: OtherRuns, at: RowPositions): Tensor[] {
  const { fit } = must(runs.split, "the fit");
  const terms = live === null ? [] : [weigh(linearPart(fit, x_RD), live, at)];
  for (const [term, run] of [[donor, runs.donor] as const, [restored, runs.unablated] as const]) {
    if (term.linear === null && term.nonlinear === null) continue;
    const { errors_RD, linear_RD: given } = must(run, "the other run");
    const linear_RD = must(given, "its linear parts");
    if (term.linear !== null) terms.push(weigh(linear_RD, term.linear, at));
    if (term.nonlinear !== null) terms.push(weigh(tf.sub(errors_RD, linear_RD), term.nonlinear, at));
  }
  return terms;
}

/** Mean parts of errors, `[T, D]`. */
function meanPartTerms(parts: PartWork | undefined, split: SplitErrors | null): Tensor[] {
  if (parts === undefined) return [];
  const { linear, nonlinear } = parts.means;
  const weigh = (mean_TD: Tensor, weights: Float32Array): Tensor =>
    tf.mul(mean_TD, tf.tensor2d(weights, [weights.length, 1]));
  const means = linear === null && nonlinear === null ? null : must(split?.means, "mean parts");
  return [
    ...(means === null || linear === null ? [] : [weigh(means.linear_TD, linear)]),
    ...(means === null || nonlinear === null ? [] : [weigh(means.nonlinear_TD, nonlinear)]),
  ];
}

/** What does not depend on the prompt, `[T, D]`: decoded constant features, constant errors, b_dec where the error is changed. */
function constantTerms(sae: Sae, { errors, errorChanged }: SiteWork, constant_TD: Tensor | null, T: number): Tensor[] {
  const terms = constant_TD === null ? [] : [constant_TD];
  if (errors !== null) terms.push(tf.tensor2d(errors, [T, sae.dIn]));
  if (errorChanged !== null)
    terms.push(tf.mul(tf.tensor2d(errorChanged, [T, 1]), tf.reshape(sae.b_dec_D, [1, sae.dIn])));
  return terms.length < 2 ? terms : [tf.addN(terms)];
}
