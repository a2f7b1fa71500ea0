/**
 * @file Grouped-query attention on flat rows, in pieces that activation patching can call with fewer query rows than keys.
 *
 * 1. {@link projectQkv}: queries, keys and values of any rows, each at its own position (rope applied).
 * 2. {@link attentionMask}: causal and sliding-window mask from query positions.
 * 3. {@link attentionCore}: pattern and weighted values of one group of prompts that share query positions.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { assert } from "../base/assert.js";
import type { AttentionParts, LayerType, ModelConfig, NormRule } from "../families/family.js";
import { AUTODIFF_RULES, type BackwardRules } from "./backward-rules.js";
import { ATTENTION_MOST_KEYS } from "./attention-limit.js";
import type { PartContext } from "./layer-context.js";
import { hasKernel, LAYER_KERNELS, runKernel } from "./layer-kernels.js";
import { normalize, normalizeIfAny } from "./norm.js";
import { applyRope, type Rope } from "./rope.js";
import { softCap } from "./soft-cap.js";
import { shapeOf } from "./tensor-shape.js";

/** What an attention block is computed with. */
type AttentionContext = PartContext<AttentionParts<Tensor>>;

/** Queries, keys and values of flat rows; J = kv heads x head width. */
export interface Qkv {
  readonly q_RZ: Tensor;
  readonly k_RJ: Tensor;
  readonly v_RJ: Tensor;
}

/** Queries, keys and values of the rows of the residual stream, normed where the model does, with rope applied. Owner: caller. */
export function projectQkv({ config, weights, rules, products }: AttentionContext, resid_RD: Tensor, rope: Rope): Qkv {
  const x_RD = normalize(resid_RD, weights.inputGain_D, config.norm, rules);
  const placed = (heads: Tensor, gain_H: Tensor | undefined): Tensor =>
    applyRope(gain_H === undefined ? heads : headNorm(heads, gain_H, config.norm, rules), rope);
  return {
    q_RZ: placed(products("query", x_RD, weights.query_DZ), weights.queryGain_H),
    k_RJ: placed(products("key", x_RD, weights.key_DJ), weights.keyGain_H),
    v_RJ: products("value", x_RD, weights.value_DJ),
  };
}

/** Norm of each head of each row, `[R, heads x H]`. Source: Gemma 3 technical report, arXiv 2503.19786, section 2. */
function headNorm(x_RZ: Tensor, gain_H: Tensor, rule: NormRule, rules: BackwardRules): Tensor {
  const [R, Z] = shapeOf(x_RZ, "RZ");
  const [H] = shapeOf(gain_H, "H");
  return tf.reshape(normalize(tf.reshape(x_RZ, [(R * Z) / H, H]), gain_H, rule, rules), [R, Z]);
}

/** What is added to a masked score: its softmax weight is exactly 0. */
const MASKED = -1e30;

/**
 * Additive mask `[1, G x T, S]` of queries at `queryPositions` against keys at positions 0..keyCount-1; G = query heads
 * for each kv head. A query sees itself and what came before; with a sliding window only the latest `slidingWindow` keys.
 *
 * Owner: caller.
 */
export function attentionMask(
  config: ModelConfig,
  kind: LayerType,
  queryPositions: readonly number[],
  keyCount: number,
): Tensor {
  const window = kind === "sliding" ? config.slidingWindow : Number.POSITIVE_INFINITY;
  const G = config.nHeads / config.nKvHeads;
  const T = queryPositions.length;
  const mask = new Float32Array(G * T * keyCount);
  for (let g = 0; g < G; g++)
    for (const [t, position] of queryPositions.entries())
      for (let s = 0; s < keyCount; s++)
        if (s > position || s <= position - window) mask[(g * T + t) * keyCount + s] = MASKED;
  return tf.tensor3d(mask, [1, G * T, keyCount]);
}

/**
 * `softmax(softcap(q k^T * scalar^-0.5) + mask) v` for a group of `batch` prompts, each with T query rows and S keys.
 *
 * Query head n reads kv head floor(n / G): heads are laid out as `[batch x K, G x T, H]`, so keys are never repeated.
 * The soft-cap comes before the mask. Source: REFERENCE 1.
 *
 * @param q_RZ `[batch x T, N x H]`, row `b * T + t`.
 * @param k_UJ `[batch x S, K x H]`, keys of positions 0..S-1.
 * @param v_UJ the same for values.
 * @param mask from {@link attentionMask} with T query positions and S keys.
 * @returns z `[batch x T, N x H]`, heads side by side: site `attn_z`. Owner: caller.
 */
export function attentionCore(
  config: ModelConfig,
  {
    q_RZ,
    k_UJ,
    v_UJ,
    batch,
  }: { readonly q_RZ: Tensor; readonly k_UJ: Tensor; readonly v_UJ: Tensor; readonly batch: number },
  mask: Tensor,
  rules: BackwardRules,
): Tensor {
  const { nHeads: N, nKvHeads: K, headDim: H } = config;
  const G = N / K;
  const T = shapeOf(q_RZ, "RZ")[0] / batch;
  const S = shapeOf(k_UJ, "UJ")[0] / batch;
  assert(
    mask.shape[1] === G * T && mask.shape[2] === S,
    `mask [${mask.shape.join(", ")}] against ${String(T)} queries, ${String(S)} keys`,
  );
  const scale = 1 / Math.sqrt(config.queryPreAttnScalar);
  if (rules === AUTODIFF_RULES && hasKernel(LAYER_KERNELS.attention) && S <= ATTENTION_MOST_KEYS) {
    const sizes = { batch, heads: N, kvHeads: K, scale, cap: config.attnSoftcap ?? 0 };
    return runKernel(LAYER_KERNELS.attention, { q: q_RZ, k: k_UJ, v: v_UJ, mask }, sizes);
  }
  const q = tf.reshape(tf.transpose(tf.reshape(q_RZ, [batch, T, N, H]), [0, 2, 1, 3]), [batch * K, G * T, H]);
  const kT = tf.reshape(tf.transpose(tf.reshape(k_UJ, [batch, S, K, H]), [0, 2, 3, 1]), [batch * K, H, S]);
  const v = tf.reshape(tf.transpose(tf.reshape(v_UJ, [batch, S, K, H]), [0, 2, 1, 3]), [batch * K, S, H]);
  const scores = softCap(tf.mul(tf.matMul(q, kT), scale), config.attnSoftcap, rules);
  const pattern = rules.pattern(tf.softmax(tf.add(scores, mask)));
  const z = tf.reshape(tf.matMul(pattern, v), [batch, N, T, H]);
  return tf.reshape(tf.transpose(z, [0, 2, 1, 3]), [batch * T, N * H]);
}

/** `z Wo`, normed where the model does: exactly what attention adds to the residual stream. Owner: caller. */
export function attentionOut({ config, weights, rules, products }: AttentionContext, z_RZ: Tensor): Tensor {
  const out_RD = products("output", z_RZ, weights.output_ZD);
  return normalizeIfAny(out_RD, weights.postAttentionGain_D, config.norm, rules);
}
