/**
 * @file The features of an SAE that fire, as lists: 2 to 3 % of them do, so products with lists skip nearly everything.
 *
 * A backend that has the kernels of {@link SAE_KERNELS} computes with lists on the device; every other one computes the dense
 * products of `sae.ts`. The numeric tests hold the two together.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../base/assert.js";
import { hasKernel, runKernel, runKernelOfMany } from "../model/layer-kernels.js";
import { hostValues } from "../model/tensor-scope.js";
import { shapeOf } from "../model/tensor-shape.js";
import { encode, type Sae } from "./sae.js";

/** Names of the kernels that a backend may register. */
export const SAE_KERNELS = {
  /** x, encoder, bias, gate → pointer, feature, value. */
  encode: "PatchbayEncodeActive",
  /** x, y, encoder, bias, gate → pointer, feature, value of what changes from x to y. */
  changes: "PatchbayEncodeChanges",
  /** pointer, feature, value, decoder → `[R, D]`. */
  decode: "PatchbayDecodeActive",
  /** pointer, feature, value, decoder, gradient → `[R, D]` as decode gives it, and one number for each entry. */
  score: "PatchbayScoreActive",
} as const;

/** Entries of flat rows, rows ascending, features ascending within a row: row r has `pointer[r] .. pointer[r + 1]`. */
export interface ActiveFeatures {
  readonly pointer: Int32Array;
  readonly feature: Int32Array;
  readonly value: Float32Array;
}

/** The features that fire in each row of `[R, D]`. Source: as {@link encode}. */
export function encodeActive(sae: Sae, x_RD: Tensor): ActiveFeatures {
  return hostValues(() => {
    if (!hasKernel(SAE_KERNELS.encode)) return listed(encode(sae, x_RD));
    return lists(runKernelOfMany(SAE_KERNELS.encode, { x: x_RD, ...encoderInputs(sae) }));
  });
}

/** Changes of the features from the rows of `x_RD` to those of `y_RD`: as {@link differences} of both, in one product. */
export function encodeChanges(sae: Sae, x_RD: Tensor, y_RD: Tensor): ActiveFeatures {
  if (!hasKernel(SAE_KERNELS.changes)) return differences(encodeActive(sae, x_RD), encodeActive(sae, y_RD));
  return hostValues(() => lists(runKernelOfMany(SAE_KERNELS.changes, { x: x_RD, y: y_RD, ...encoderInputs(sae) })));
}

function encoderInputs(sae: Sae): Record<string, Tensor> {
  return { encoder: sae.W_enc_DF, bias: sae.b_enc_F, gate: sae.gate_F };
}

function lists(tensors: readonly Tensor[]): ActiveFeatures {
  const [pointer, feature, value] = tensors.map((list) => list.dataSync());
  return { pointer, feature, value } as unknown as ActiveFeatures;
}

/** `f W_dec`, without b_dec, `[R, D]`. Owner: caller. */
export function decodeActive(sae: Sae, active: ActiveFeatures): Tensor {
  return tf.tidy(() =>
    hasKernel(SAE_KERNELS.decode)
      ? runKernel(SAE_KERNELS.decode, listInputs(sae, active))
      : tf.matMul(dense(active, sae.dSae), sae.W_dec_FD),
  );
}

/** The error `x - (f W_dec + b_dec)` of rows whose features are listed, `[R, D]`. Owner: caller. */
export function errorOfActive(sae: Sae, x_RD: Tensor, active: ActiveFeatures): Tensor {
  return tf.tidy(() => tf.sub(x_RD, tf.add(decodeActive(sae, active), sae.b_dec_D)));
}

/** What features add to their site, and what a gradient at the site makes of each. */
export interface ScoredActive {
  /** As {@link decodeActive}. Owner: caller. */
  readonly sum_RD: Tensor;
  /** `W_dec[i] . g` for each entry. */
  readonly dots: Float32Array;
}

/** Both in one pass over the decoder rows of the entries. */
export function scoreActive(sae: Sae, active: ActiveFeatures, gradient_RD: Tensor): ScoredActive {
  let dots: Float32Array | undefined;
  const sum_RD = tf.tidy(() => {
    if (!hasKernel(SAE_KERNELS.score)) {
      dots = pickEntries(active, tf.matMul(gradient_RD, tf.transpose(sae.W_dec_FD)).dataSync<"float32">(), sae.dSae);
      return decodeActive(sae, active);
    }
    const inputs = { ...listInputs(sae, active), gradient: gradient_RD };
    const [sum, products] = runKernelOfMany(SAE_KERNELS.score, inputs);
    dots = must(products, "dots").dataSync<"float32">();
    return must(sum, "sum");
  });
  return { sum_RD, dots: must(dots, "dots") };
}

function listInputs(sae: Sae, { pointer, feature, value }: ActiveFeatures): Record<string, Tensor> {
  const lists = { pointer: tf.tensor1d(pointer, "int32"), feature: tf.tensor1d(feature, "int32") };
  return { ...lists, value: tf.tensor1d(value), decoder: sae.W_dec_FD };
}

/** The entries' values among those of all features, `[R, F]`. */
function pickEntries({ pointer, feature }: ActiveFeatures, all: Float32Array, F: number): Float32Array {
  const picked = new Float32Array(feature.length);
  eachEntry(pointer, (row, entry) => {
    picked[entry] = all[row * F + (feature[entry] ?? 0)] ?? NaN;
  });
  return picked;
}

/** `b - a`, entry by entry; what is equal in both is left out. */
export function differences(a: ActiveFeatures, b: ActiveFeatures): ActiveFeatures {
  const rows = a.pointer.length - 1;
  const most = a.feature.length + b.feature.length;
  const pointer = new Int32Array(rows + 1);
  const [feature, value] = [new Int32Array(most), new Float32Array(most)];
  let count = 0;
  const add = (index: number, change: number): void => {
    if (change === 0) return;
    feature[count] = index;
    value[count] = change;
    count += 1;
  };
  for (let row = 0; row < rows; row++) {
    let [i, j] = [a.pointer[row] ?? 0, b.pointer[row] ?? 0];
    const [endA, endB] = [a.pointer[row + 1] ?? 0, b.pointer[row + 1] ?? 0];
    while (i < endA || j < endB) {
      const ofA = i < endA ? (a.feature[i] ?? 0) : Number.POSITIVE_INFINITY;
      const ofB = j < endB ? (b.feature[j] ?? 0) : Number.POSITIVE_INFINITY;
      if (ofA < ofB) add(ofA, -(a.value[i++] ?? NaN));
      else if (ofB < ofA) add(ofB, b.value[j++] ?? NaN);
      else add(ofA, Math.fround((b.value[j++] ?? NaN) - (a.value[i++] ?? NaN)));
    }
    pointer[row + 1] = count;
  }
  return { pointer, feature: feature.slice(0, count), value: value.slice(0, count) };
}

/** Calls `visit` with the row and the index of each entry, in order. */
export function eachEntry(pointer: Int32Array, visit: (row: number, entry: number) => void): void {
  for (let row = 0; row + 1 < pointer.length; row++)
    for (let entry = pointer[row] ?? 0; entry < (pointer[row + 1] ?? 0); entry++) visit(row, entry);
}

/** Lists of the values of `[R, F]` that are not 0. */
function listed(f_RF: Tensor): ActiveFeatures {
  const [R, F] = shapeOf(f_RF, "RF");
  const values = f_RF.dataSync<"float32">();
  const pointer = new Int32Array(R + 1);
  const [feature, value]: [number[], number[]] = [[], []];
  for (let row = 0, i = 0; row < R; row++) {
    for (let f = 0; f < F; f++, i++) {
      const one = values[i] as number;
      if (one === 0) continue;
      feature.push(f);
      value.push(one);
    }
    pointer[row + 1] = feature.length;
  }
  return { pointer, feature: Int32Array.from(feature), value: Float32Array.from(value) };
}

/** The lists as `[R, F]`. */
function dense({ pointer, feature, value }: ActiveFeatures, F: number): Tensor {
  const values = new Float32Array((pointer.length - 1) * F);
  eachEntry(pointer, (row, entry) => {
    values[row * F + (feature[entry] ?? 0)] = value[entry] ?? NaN;
  });
  return tf.tensor2d(values, [pointer.length - 1, F]);
}
