/** @file Root-mean-square norm. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { AUTODIFF_RULES, type BackwardRules } from "./backward-rules.js";
import { hasKernel, LAYER_KERNELS, runKernel } from "./layer-kernels.js";
import { shapeOf } from "./tensor-shape.js";

/**
 * `x * rsqrt(mean(x^2) + eps) * gain` over the last axis, float32.
 *
 * Source: Zhang and Sennrich 2019 (REFERENCE 1).
 *
 * @param x_RD rows.
 * @param gain_D for each column. Families that store `w` of `1 + w` have the one added when weights are loaded.
 * @returns `[R, D]`. Owner: caller.
 */
export function rmsNorm(x_RD: Tensor, gain_D: Tensor, eps: number, rules: BackwardRules): Tensor {
  shapeOf(x_RD, "RD");
  if (rules === AUTODIFF_RULES && hasKernel(LAYER_KERNELS.norm))
    return runKernel(LAYER_KERNELS.norm, { x: x_RD, gain: gain_D }, { eps });
  const scale_R1 = rules.normScale(tf.rsqrt(tf.add(tf.mean(tf.square(x_RD), -1, true), eps)));
  return tf.mul(tf.mul(x_RD, scale_R1), gain_D);
}
