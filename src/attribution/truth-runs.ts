/** @file The unpatched runs of a block of prompts, with what patched runs reuse: layer inputs, keys, values and sites. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../base/assert.js";
import { siteHook, type Site, type SiteAt } from "../circuit/site.js";
import { attentionCore, projectQkv } from "../model/attention.js";
import { startBlock } from "../model/forward.js";
import { attendOutput, mlpOutput, type Frame } from "../model/layer.js";
import { layerContext, type Model } from "../model/model.js";

/** One layer of an unpatched run, flat rows. Owner: the {@link UnpatchedRun}. */
export interface UnpatchedLayer {
  readonly input_RD: Tensor;
  readonly k_RJ: Tensor;
  readonly v_RJ: Tensor;
  readonly attn_z: Tensor;
  readonly mlp_out: Tensor;
  readonly resid_post: Tensor;
}

/** A whole unpatched run. A layer's input is the layer below's `resid_post`. */
export interface UnpatchedRun {
  readonly layers: readonly UnpatchedLayer[];
  dispose(): void;
}

/** Runs the prompts and keeps every layer. Owner: caller. */
export async function unpatchedRun(model: Model, prompts: readonly (readonly number[])[]): Promise<UnpatchedRun> {
  const { resid_RD, frame } = await startBlock(model, prompts);
  const layers: UnpatchedLayer[] = [];
  let input_RD = resid_RD;
  for (let layer = 0; layer < model.layers.length; layer++) {
    const kept = unpatchedLayer(model, layer, input_RD, frame);
    layers.push(kept);
    input_RD = kept.resid_post;
  }
  frame.dispose();
  const dispose = (): void => {
    tf.dispose(resid_RD);
    for (const { k_RJ, v_RJ, attn_z, mlp_out, resid_post } of layers)
      tf.dispose([k_RJ, v_RJ, attn_z, mlp_out, resid_post]);
  };
  return { layers, dispose };
}

function unpatchedLayer(model: Model, layer: number, input_RD: Tensor, frame: Frame): UnpatchedLayer {
  const context = layerContext(model, layer);
  const { config, weights, kind, rules } = context;
  const kept = tf.tidy(() => {
    const { q_RZ, k_RJ, v_RJ } = projectQkv(config, weights, input_RD, frame.rope, rules);
    const attn_z = attentionCore(
      config,
      { q_RZ, k_UJ: k_RJ, v_UJ: v_RJ, batch: frame.batch },
      frame.masks[kind],
      rules,
    );
    const mid_RD = attendOutput(context, input_RD, attn_z);
    const mlp_out = mlpOutput(context, mid_RD);
    return { k_RJ, v_RJ, attn_z, mlp_out, resid_post: tf.add(mid_RD, mlp_out) };
  });
  return { input_RD, ...kept };
}

/** The activation of a site, flat rows `[R, d]`. Owner: the run. */
export function siteOf(run: UnpatchedRun, { site, layer }: SiteAt): Tensor {
  return must(run.layers[layer], siteHook({ site, layer }))[site satisfies Site];
}
