/** @file The MLP of a layer, with the norms on either side of it. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import type { Activation, MlpParts, MlpRule } from "../families/family.js";
import { AUTODIFF_RULES, type BackwardRules } from "./backward-rules.js";
import type { PartContext } from "./layer-context.js";
import { hasKernel, LAYER_KERNELS, runKernel } from "./layer-kernels.js";
import { normalize, normalizeIfAny } from "./norm.js";

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

/** What an MLP is computed with. */
type MlpContext = PartContext<MlpParts<Tensor>>;

/** An MLP, without norms: from its input `[R, D]` to its neurons `[R, M]`, and from these to its output `[R, D]`. */
interface MlpHalves {
  readonly neurons: (context: MlpContext, y_RD: Tensor) => Tensor;
  readonly output: (context: MlpContext, neurons_RM: Tensor) => Tensor;
}

/** The MLPs by their kind. */
const MLPS: Readonly<Record<MlpRule["kind"], MlpHalves>> = {
  // Source: Shazeer, arXiv 2002.05202: `(activation(y Wgate) * (y Wup)) Wdown`.
  gated: {
    neurons: ({ config, weights, rules, products }, y_RD) =>
      activationTimes(config.mlp, products("gate", y_RD, weights.gate_DM), products("up", y_RD, weights.up_DM), rules),
    output: ({ weights, products }, neurons_RM) => products("down", neurons_RM, weights.down_MD),
  },
};

/** The activations, each with the kernel that also multiplies by the up projection. */
const ACTIVATIONS: Readonly<
  Record<Activation, { readonly apply: (x: Tensor) => Tensor; readonly timesKernel: string }>
> = {
  gelu_tanh: { apply: geluTanh, timesKernel: LAYER_KERNELS.geluTimes },
};

/** The MLP's neurons for a residual stream: site `mlp_post`, `[R, M]`. Owner: caller. */
export function mlpNeurons(context: MlpContext, mid_RD: Tensor): Tensor {
  const { config, weights, rules } = context;
  return MLPS[config.mlp.kind].neurons(context, normalize(mid_RD, weights.preMlpGain_D, config.norm, rules));
}

/** What the MLP adds to the residual stream for these neurons, the norm after it included: site `mlp_out`, `[R, D]`. Owner: caller. */
export function mlpOut(context: MlpContext, neurons_RM: Tensor): Tensor {
  const { config, weights, rules } = context;
  const out_RD = MLPS[config.mlp.kind].output(context, neurons_RM);
  return normalizeIfAny(out_RD, weights.postMlpGain_D, config.norm, rules);
}

/** `activation(gate) * up`. */
function activationTimes({ activation }: MlpRule, gate_RM: Tensor, up_RM: Tensor, rules: BackwardRules): Tensor {
  const { apply, timesKernel } = ACTIVATIONS[activation];
  if (rules === AUTODIFF_RULES && hasKernel(timesKernel)) return runKernel(timesKernel, { gate: gate_RM, up: up_RM });
  return rules.product(rules.nonlinearity(gate_RM, apply), up_RM);
}
