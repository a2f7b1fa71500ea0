/** @file JumpReLU sparse autoencoders: encode, decode, error. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { assert } from "../base/assert.js";
import { allLoaded } from "../model/all-loaded.js";
import type { MatrixLoader } from "../model/matrices.js";
import { shapeOf } from "../model/tensor-shape.js";
import { withSaeFile, type SaeEntry, type SaeFile, type SaeWeights } from "../weights/sae-folder.js";
import type { StoredArray } from "../weights/stored-array.js";

/** An SAE on the device. Owner of the tensors: whoever loaded it, through `dispose`. D is the width of its site. */
export interface Sae {
  readonly dIn: number;
  readonly dSae: number;
  readonly W_enc_DF: Tensor;
  readonly W_dec_FD: Tensor;
  readonly b_enc_F: Tensor;
  readonly b_dec_D: Tensor;
  /** `max(threshold, 0)`: a feature fires where its pre-activation is above. */
  readonly gate_F: Tensor;
  /** The same on the host. */
  readonly gate: Float32Array;
  dispose(): void;
}

/** Bytes of an SAE on the device. */
function saeBytes({ dIn, dSae }: { readonly dIn: number; readonly dSae: number }, matrices: MatrixLoader): number {
  return matrices.bytesPerValue * dIn * dSae + (dIn * dSae + dIn + 2 * dSae) * Float32Array.BYTES_PER_ELEMENT;
}

/** Moves an SAE to the device. */
export function loadSae(weights: SaeWeights): Sae {
  const { dIn, dSae } = weights;
  const W_enc_DF = tf.tensor2d(weights.W_enc, [dIn, dSae]);
  return saeOf({ W_enc_DF, W_dec_FD: tf.tensor2d(weights.W_dec, [dSae, dIn]) }, weights);
}

/** An SAE whose matrices are still in its file. */
export interface SaeSource {
  readonly bytes: number;
  /** Reads the matrices to the device. The decoder is float32 always: a patch is made of its rows. Owner of the SAE: caller. */
  load(): Promise<Sae>;
}

/**
 * Reads all of an SAE but its matrices, so that nothing but them is on the way when it is loaded.
 * @param matrices makes the encoder.
 * @throws PatchbayError `bad_input` when the file is damaged, `non_finite` naming the array.
 */
export async function findSaeSource(entry: SaeEntry, matrices: MatrixLoader): Promise<SaeSource> {
  const { dIn, dSae } = entry;
  return await withSaeFile(entry, async (file) => {
    const [b_enc, b_dec] = [await file.read("b_enc"), await file.read("b_dec")];
    const vectors = { dIn, dSae, b_enc, b_dec, threshold: await file.read("threshold") };
    const [encoder, decoder] = [await laterArray(entry, file, "W_enc"), await laterArray(entry, file, "W_dec")];
    const load = async (): Promise<Sae> =>
      saeOf(await allLoaded({ W_enc_DF: matrices.load(encoder), W_dec_FD: matrices.loadWide(decoder) }), vectors);
    return { bytes: saeBytes(entry, matrices), load };
  });
}

/** An array that opens the file again when it is read. */
async function laterArray(entry: SaeEntry, file: SaeFile, name: string): Promise<StoredArray> {
  return { ...(await file.array(name)), read: () => withSaeFile(entry, (again) => again.read(name)) };
}

/** An SAE of its matrices, which it owns, and its other weights. */
function saeOf(
  { W_enc_DF, W_dec_FD }: { readonly W_enc_DF: Tensor; readonly W_dec_FD: Tensor },
  { dIn, dSae, ...weights }: Omit<SaeWeights, "W_enc" | "W_dec">,
): Sae {
  const b_enc_F = tf.tensor1d(weights.b_enc);
  const b_dec_D = tf.tensor1d(weights.b_dec);
  const gate = weights.threshold.map((threshold) => Math.max(threshold, 0));
  const gate_F = tf.tensor1d(gate);
  const dispose = (): void => {
    tf.dispose([W_enc_DF, W_dec_FD, b_enc_F, b_dec_D, gate_F]);
  };
  return { dIn, dSae, W_enc_DF, W_dec_FD, b_enc_F, b_dec_D, gate_F, gate, dispose };
}

/**
 * `f = pre * 1[pre > threshold] * 1[pre > 0]` with `pre = x W_enc + b_enc`: b_dec is not subtracted and x is not scaled.
 *
 * A feature that does not fire is 0 or -0.
 * Source: Rajamanoharan et al., arXiv 2407.14435, eq. 1 and 2; Gemma Scope, arXiv 2408.05147 (REFERENCE 2).
 *
 * @param x_RD activation of the SAE's site.
 * @returns features `[R, F]`. Owner: caller.
 */
export function encode(sae: Pick<Sae, "dIn" | "W_enc_DF" | "b_enc_F" | "gate_F">, x_RD: Tensor): Tensor {
  return tf.tidy(() => {
    const [, D] = shapeOf(x_RD, "RD");
    assert(D === sae.dIn, `an SAE of width ${String(sae.dIn)} on an activation of width ${String(D)}`);
    const pre_RF = tf.add(tf.matMul(x_RD, sae.W_enc_DF), sae.b_enc_F);
    // In IEEE arithmetic `pre - gate > 0` exactly where `pre > gate`; a comparison kernel would be ten times slower.
    return tf.mul(pre_RF, tf.step(tf.sub(pre_RF, sae.gate_F)));
  });
}

/** Activations of the named features only, `[R, features.length]`. Owner: caller. */
export function encodeSome(sae: Sae, features: Tensor, x_RD: Tensor): Tensor {
  return tf.tidy(() => {
    const { dIn, W_enc_DF, b_enc_F, gate_F } = sae;
    const chosen = { W_enc_DF: tf.gather(W_enc_DF, features, 1), b_enc_F: tf.gather(b_enc_F, features) };
    return encode({ dIn, ...chosen, gate_F: tf.gather(gate_F, features) }, x_RD);
  });
}

/** `xhat = f W_dec + b_dec`, `[R, D]`. Owner: caller. */
export function decode(sae: Sae, f_RF: Tensor): Tensor {
  return tf.tidy(() => tf.add(tf.matMul(f_RF, sae.W_dec_FD), sae.b_dec_D));
}

/** The error node's activation `e = x - decode(f)`, `[R, D]`. Owner: caller. */
export function errorOf(sae: Sae, x_RD: Tensor, f_RF: Tensor): Tensor {
  return tf.tidy(() => tf.sub(x_RD, decode(sae, f_RF)));
}
