/** @file One step of Adam on one array, which a backend may have as one kernel; the composed definition says what it computes. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../base/assert.js";
import { hasKernel, runKernelOfMany } from "./layer-kernels.js";

/** Decay rates and the stabiliser. Source: Kingma and Ba, arXiv 1412.6980, algorithm 1. */
export interface AdamOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
}

/** A backend may have a step as one kernel: value, first, second, gradient; beta1, beta2, rate, epsilon → value, first, second. */
export const ADAM_KERNEL = "PatchbayAdam";

/** A value and its moments. */
export interface Moments {
  readonly value: Tensor;
  readonly first: Tensor;
  readonly second: Tensor;
}

/** `value - rate first / (sqrt(second) + epsilon)` with the moments of this step. Owner: caller. */
export function adamStep(
  { value, first, second, gradient }: Moments & { readonly gradient: Tensor },
  rates: AdamOptions & { readonly rate: number },
): Moments {
  if (hasKernel(ADAM_KERNEL)) {
    const after = runKernelOfMany(ADAM_KERNEL, { value, first, second, gradient }, { ...rates });
    return { value: must(after[0], "value"), first: must(after[1], "moment"), second: must(after[2], "moment") };
  }
  const { beta1, beta2, rate, epsilon } = rates;
  const m = tf.add(tf.mul(first, beta1), tf.mul(gradient, 1 - beta1));
  const v = tf.add(tf.mul(second, beta2), tf.mul(tf.square(gradient), 1 - beta2));
  return { value: tf.sub(value, tf.mul(tf.div(m, tf.add(tf.sqrt(v), epsilon)), rate)), first: m, second: v };
}
