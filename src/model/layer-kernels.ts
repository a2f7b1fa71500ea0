/**
 * @file Parts of a layer between its products that a backend may have as one kernel each; the composed definitions stand where they are used
 * (`rms-norm.ts`, `mlp.ts`, `rope.ts`, `attention.ts`), serve every other backend, and say what the kernels compute.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";

/** Names of the kernels. Each has its gradient beside it, and both are built or neither. */
export const LAYER_KERNELS = {
  /** x, gain; eps. */
  norm: "PatchbayRmsNorm",
  /** dy, x, gain; eps → gradient of x. */
  normGradient: "PatchbayRmsNormGradient",
  /** gate, up. */
  geluTimes: "PatchbayGeluTimes",
  /** dy, gate, up → gradients of gate and up. */
  geluTimesGradient: "PatchbayGeluTimesGradient",
  /** x, cos, sin; direction: 1, or -1 for the gradient. */
  rope: "PatchbayRope",
  /** q, k, v, mask; batch, heads, kvHeads, scale, cap (0: none). */
  attention: "PatchbayAttention",
  /** dy and as above → gradients of q, k and v. */
  attentionGradient: "PatchbayAttentionGradient",
} as const;

/** Whether the backend that runs has a kernel. (tfjs's types leave out that it may not.) */
export function hasKernel(name: string): boolean {
  return Boolean(tf.getKernel(name, tf.getBackend()));
}

/** Runs a kernel of one output. Owner: caller. */
export function runKernel(
  name: string,
  inputs: Readonly<Record<string, Tensor>>,
  attributes: tf.NamedAttrMap = {},
): Tensor {
  return tf.engine().runKernel<Tensor>(name, inputs, attributes);
}

/** Runs a kernel of several outputs. Owner: caller. */
export function runKernelOfMany(
  name: string,
  inputs: Readonly<Record<string, Tensor>>,
  attributes: tf.NamedAttrMap = {},
): Tensor[] {
  return tf.engine().runKernel<Tensor[]>(name, inputs, attributes);
}
