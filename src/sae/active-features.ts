/**
 * @file The features of an SAE that fire, as lists: 2 to 3 % of them do, so products with lists skip nearly everything.
 *
 * A backend that has the kernels of {@link SAE_KERNELS} computes with lists on the device; every other one computes the dense
 * products of `sae.ts`. The numeric tests hold the two together.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { hasKernel, runKernel, runKernelOfMany } from "../model/layer-kernels.js";
import { hostValues } from "../model/tensor-scope.js";
import { shapeOf } from "../model/tensor-shape.js";
import { encode, type Sae } from "./sae.js";

/** Names of the kernels that a backend may register. */
export const SAE_KERNELS = {
  /** x, encoder, bias, gate → pointer, feature, value. */
  encode: "PatchbayEncodeActive",
  /** pointer, feature, value, decoder → `[R, D]`. */
  decode: "PatchbayDecodeActive",
  /** pointer, feature, decoder, gradient → one number for each entry. */
  dots: "PatchbayDecoderDots",
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
    const inputs = { x: x_RD, encoder: sae.W_enc_DF, bias: sae.b_enc_F, gate: sae.gate_F };
    const [pointer, feature, value] = runKernelOfMany(SAE_KERNELS.encode, inputs).map((list) => list.dataSync());
    return { pointer, feature, value } as unknown as ActiveFeatures;
  });
}

/** `f W_dec`, without b_dec, `[R, D]`. Owner: caller. */
export function decodeActive(sae: Sae, active: ActiveFeatures): Tensor {
  return tf.tidy(() => {
    if (!hasKernel(SAE_KERNELS.decode)) return tf.matMul(dense(active, sae.dSae), sae.W_dec_FD);
    const inputs = {
      pointer: tf.tensor1d(active.pointer, "int32"),
      feature: tf.tensor1d(active.feature, "int32"),
      value: tf.tensor1d(active.value),
      decoder: sae.W_dec_FD,
    };
    return runKernel(SAE_KERNELS.decode, inputs);
  });
}

/** `W_dec[i] . g` for each entry: what a gradient at the site makes of its feature. */
export function decoderDots(sae: Sae, { pointer, feature }: ActiveFeatures, gradient_RD: Tensor): Float32Array {
  return hostValues(() => {
    if (hasKernel(SAE_KERNELS.dots)) {
      const lists = { pointer: tf.tensor1d(pointer, "int32"), feature: tf.tensor1d(feature, "int32") };
      const inputs = { ...lists, decoder: sae.W_dec_FD, gradient: gradient_RD };
      return runKernel(SAE_KERNELS.dots, inputs).dataSync<"float32">();
    }
    const all = tf.matMul(gradient_RD, tf.transpose(sae.W_dec_FD)).dataSync<"float32">();
    const dots = new Float32Array(feature.length);
    eachEntry(pointer, (row, entry) => {
      dots[entry] = all[row * sae.dSae + (feature[entry] ?? 0)] ?? NaN;
    });
    return dots;
  });
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
