/** @file The whole forward pass of a block of prompts, layer by layer, each layer's sites handed to a visitor. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { assert, must } from "../base/assert.js";
import { AUTODIFF_RULES } from "./backward-rules.js";
import { embedTokens } from "./embedding.js";
import type { TokenRows } from "../nodes/token-rows.js";
import { attend, attendOutput, flatRows, mlpOutput, sharedFrame, wholeFrame, type Frame } from "./layer.js";
import type { Products } from "./products.js";
import { lastRows, unembed } from "./unembedding.js";
import { layerContext, layersFrom, walkLayers, type Model } from "./model.js";
import type { Answers } from "./metric.js";

/** A layer's input and its three sites. Owner: the receiver. */
export interface LayerActivations {
  readonly attn_z: Tensor;
  readonly mlp_out: Tensor;
  readonly resid_post: Tensor;
}

/** A residual stream of whole prompts, and their frame. */
export interface WholeBlock {
  readonly resid_RD: Tensor;
  readonly frame: Frame;
}

/** Runs one layer on whole prompts; leaves nothing when it fails, for want of memory for instance. Owner of the three tensors: caller. */
export function runLayer(
  model: Model,
  index: number,
  { resid_RD, frame }: WholeBlock,
  products?: Products,
): LayerActivations {
  const context = layerContext(model, index, AUTODIFF_RULES, products);
  return tf.tidy(() => {
    const attn_z = attend(context, resid_RD, frame);
    const mid_RD = attendOutput(context, resid_RD, attn_z);
    const mlp_out = mlpOutput(context, mid_RD);
    return { attn_z, mlp_out, resid_post: tf.add(mid_RD, mlp_out) };
  });
}

/** Prompts of one length as flat token ids, row `b * T + t`. */
export function flatIds(prompts: readonly (readonly number[])[]): {
  readonly ids: Int32Array;
  readonly batch: number;
  readonly T: number;
} {
  const T = must(prompts[0], "prompt").length;
  assert(
    prompts.every((ids) => ids.length === T),
    "prompts of one block have one length",
  );
  return { ids: Int32Array.from(prompts.flat()), batch: prompts.length, T };
}

/**
 * Embeds prompts of one length and makes their frame. Owner of both: caller.
 * @param rows their distinct rows, which are then all that is computed.
 */
export async function startBlock(
  model: Model,
  prompts: readonly (readonly number[])[],
  rows: TokenRows | null = null,
): Promise<WholeBlock> {
  const { ids, batch, T } = flatIds(prompts);
  if (rows !== null) {
    const distinct = Int32Array.from(rows.holders, (row) => must(ids[row], "token"));
    return {
      resid_RD: await embedTokens(model.embedding, distinct, model.config),
      frame: sharedFrame(model.config, rows),
    };
  }
  const resid_RD = await embedTokens(model.embedding, ids, model.config);
  return { resid_RD, frame: wholeFrame(model.config, batch, T) };
}

/** Last residual stream of the prompts, `[R, D]`. Owner: caller. */
export async function forward(model: Model, prompts: readonly (readonly number[])[]): Promise<Tensor> {
  const { resid_RD, frame } = await startBlock(model, prompts);
  let current = resid_RD;
  await walkLayers(model, layersFrom(model.config), (layer) => {
    const { attn_z, mlp_out, resid_post } = runLayer(model, layer, { resid_RD: current, frame });
    tf.dispose([attn_z, mlp_out, current]);
    current = resid_post;
  });
  frame.dispose();
  return current;
}

/** The same for rows as a frame has them. Owner: caller. */
export function answerLogitsOf(model: Model, { resid_RD, frame }: WholeBlock, answers: Answers): Tensor {
  return tf.tidy(() => answerLogits(model, flatRows(resid_RD, frame), frame.batch, answers));
}

/** Logits of the answer tokens at the last position of each prompt, `[B, A]`. Owner: caller. */
export function answerLogits(model: Model, resid_RD: Tensor, batch: number, answers: Answers): Tensor {
  return tf.tidy(() =>
    unembed(model.config, model.finalGain_D, lastRows(resid_RD, batch), answers.unembed_DA, AUTODIFF_RULES),
  );
}
