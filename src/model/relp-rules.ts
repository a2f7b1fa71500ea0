/**
 * @file The backward rules of RelP, relevance propagation in the form of a modified gradient.
 *
 * At the point where the backward pass is taken, the layer is replaced by a linear function with the same value:
 *
 * 1. norms: `x const(rsqrt(mean(x^2) + eps)) gain`;
 * 2. nonlinearities `y = f(x)` (GELU, soft-caps): `x const(y / x)`;
 * 3. products: `(a const(b) + const(a) b) / 2`;
 * 4. attention: the pattern is constant, so queries and keys pass nothing back.
 *
 * Source: Rezaei Jafari et al., arXiv 2508.21258 (LN, identity and half rule); REFERENCE 9.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../base/assert.js";
import type { BackwardRules } from "./backward-rules.js";

/** Inputs nearer to 0 than this have no usable ratio; */
const SMALLEST = 1e-18;
/** there the ratio is taken here, which is its limit up to rounding for every nonlinearity of the model. */
const NEAR_ZERO = 1e-6;

/** The value, with no gradient. */
function constant(value: Tensor): Tensor {
  return tf.customGrad((x) => ({ value: tf.clone(x as Tensor), gradFunc: (dy) => tf.zerosLike(dy) }))(value);
}

/** `apply(x)`, whose slope is taken to be `apply(x) / x`. */
function byRatio(x: Tensor, apply: (x: Tensor) => Tensor): Tensor {
  const ratio = (y: Tensor): Tensor => {
    const away = tf.where(tf.less(tf.abs(y), SMALLEST), tf.fill(y.shape, NEAR_ZERO), y);
    return tf.div(apply(away), away);
  };
  return tf.customGrad((input, save) => {
    const y = input as Tensor;
    (save as (tensors: Tensor[]) => void)([y]);
    return { value: apply(y), gradFunc: (dy, saved) => tf.mul(dy, ratio(must(saved[0], "input"))) };
  })(x);
}

/** `a b`, each factor with half of the product's gradient. */
function inHalves(a: Tensor, b: Tensor): Tensor {
  return tf.customGrad((left, right, save) => {
    const factors = [left as Tensor, right as Tensor] as const;
    (save as (tensors: Tensor[]) => void)([...factors]);
    const gradFunc = (dy: Tensor, saved: Tensor[]): Tensor[] => {
      const half = tf.mul(dy, 0.5);
      return [tf.mul(half, must(saved[1], "factor")), tf.mul(half, must(saved[0], "factor"))];
    };
    return { value: tf.mul(factors[0], factors[1]), gradFunc };
  })(a, b);
}

/** All four rules. They never change a forward value. */
export const RELP_RULES: BackwardRules = {
  normScale: constant,
  nonlinearity: byRatio,
  product: inHalves,
  pattern: constant,
};
