/** @file The gated MLP with GELU (tanh form) and a norm on either side. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import type { ModelConfig } from "../weights/model-config.js";
import { AUTODIFF_RULES, type BackwardRules } from "./backward-rules.js";
import { hasKernel, LAYER_KERNELS, runKernel } from "./layer-kernels.js";
import { computeProducts, type Products } from "./products.js";
import { rmsNorm } from "./rms-norm.js";

/** Weights of one MLP; matrices are `[in, out]`. */
export interface MlpWeights {
  /** `1 + w` of pre_feedforward_layernorm. */
  readonly preMlpGain_D: Tensor;
  readonly gate_DM: Tensor;
  readonly up_DM: Tensor;
  readonly down_MD: Tensor;
  /** `1 + w` of post_feedforward_layernorm. */
  readonly postMlpGain_D: Tensor;
}

/**
 * `gelu_tanh(x) = x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`, written as `x sigmoid(2 sqrt(2/pi) (x + 0.044715 x^3))`:
 * equal, and much faster where tanh is a scalar loop.
 *
 * Source: Hendrycks and Gimpel, arXiv 1606.08415. Owner: caller.
 */
export function geluTanh(x: Tensor): Tensor {
  const scale = 2 * Math.sqrt(2 / Math.PI);
  return tf.mul(x, tf.sigmoid(tf.mul(x, tf.add(tf.mul(tf.square(x), scale * 0.044715), scale))));
}

/** `RMS((gelu(y Wgate) * (y Wup)) Wdown)` with `y = RMS(mid)`: site `mlp_out`, `[R, D]`. Owner: caller. */
export function mlpOut(
  config: ModelConfig,
  weights: MlpWeights,
  mid_RD: Tensor,
  rules: BackwardRules,
  products: Products = computeProducts,
): Tensor {
  const y_RD = rmsNorm(mid_RD, weights.preMlpGain_D, config.rmsEps, rules);
  const [gate_RM, up_RM] = [products("gate", y_RD, weights.gate_DM), products("up", y_RD, weights.up_DM)];
  const out_RD = products("down", geluTimes(gate_RM, up_RM, rules), weights.down_MD);
  return rmsNorm(out_RD, weights.postMlpGain_D, config.rmsEps, rules);
}

/** `gelu(gate) * up`. */
function geluTimes(gate_RM: Tensor, up_RM: Tensor, rules: BackwardRules): Tensor {
  if (rules === AUTODIFF_RULES && hasKernel(LAYER_KERNELS.geluTimes))
    return runKernel(LAYER_KERNELS.geluTimes, { gate: gate_RM, up: up_RM });
  return rules.product(rules.nonlinearity(gate_RM, geluTanh), up_RM);
}
