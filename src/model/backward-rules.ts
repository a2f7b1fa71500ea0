/**
 * @file What the backward pass of a layer does at the points where estimators of the true effect differ (REFERENCE 9).
 *
 * Every layer function takes its rules. They never change a forward value (but for rounding where a kernel stands for the ordinary rules): a rule may only hold a factor constant or share
 * a product's gradient out otherwise. The ordinary gradient is {@link AUTODIFF_RULES}.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";

/** The points of a layer where an estimator may replace the gradient. */
export interface BackwardRules {
  /** A norm's scale `rsqrt(mean(x^2) + eps)`. */
  normScale(scale: Tensor): Tensor;
  /** An elementwise nonlinearity (GELU, soft-caps) applied to `x`. */
  nonlinearity(x: Tensor, apply: (x: Tensor) => Tensor): Tensor;
  /** The product of the gate's activation and the up projection. */
  product(a: Tensor, b: Tensor): Tensor;
  /** The attention pattern, after the softmax. */
  pattern(pattern: Tensor): Tensor;
}

/** The gradient itself: what AtP, zero ablation and integrated gradients use. */
export const AUTODIFF_RULES: BackwardRules = {
  normScale: (scale) => scale,
  nonlinearity: (x, apply) => apply(x),
  product: (a, b) => tf.mul(a, b),
  pattern: (pattern) => pattern,
};
