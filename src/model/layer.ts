/**
 * @file One layer, in the pieces between which its sites lie.
 *
 * 1. `z = attend(h)`                 site attn_z
 * 2. `mid = attendOutput(h, z)`      h + z Wo, through a norm where the model has one
 * 3. `a = neurons(mid)`              site mlp_post
 * 4. `m = neuronsOutput(a)`          site mlp_out
 * 5. `post = mid + m`                site resid_post
 *
 * Everything acts on flat rows `[B x T, D]`; only attention knows prompts and positions, through a {@link Frame}.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { unreachable } from "../base/assert.js";
import type { LayerType, ModelConfig } from "../families/family.js";
import { attentionCore, attentionMask, attentionOut, projectQkv } from "./attention.js";
import type { LayerContext } from "./layer-context.js";
import { mlpNeurons, mlpOut } from "./mlp.js";
import { ropeTables, type Rope } from "./rope.js";

/** What attention needs to know of a block: `batch` prompts, and which of their positions have rows. */
export interface Frame {
  readonly batch: number;
  /** Rows of each prompt: its tokens, or the last T of them. */
  readonly T: number;
  /** By the layer's type; the same tables where all layers rotate alike. */
  readonly ropes: Readonly<Record<LayerType, Rope>>;
  readonly masks: Readonly<Record<LayerType, Tensor>>;
  dispose(): void;
}

/** The frame of `batch` whole prompts of `T` tokens. Owner: caller. */
export function wholeFrame(config: ModelConfig, batch: number, T: number): Frame {
  return frameFrom(config, batch, { start: 0, length: T });
}

/** The frame of rows at the last positions of `batch` prompts, which see the keys of all positions. Owner: caller. */
export function frameFrom(
  config: ModelConfig,
  batch: number,
  { start, length: T }: { readonly start: number; readonly length: number },
): Frame {
  const positions = Array.from({ length: T }, (_, t) => start + t);
  const ropes = ropesAt(
    config,
    Array.from({ length: batch * T }, (_, row) => start + (row % T)),
  );
  const full = attentionMask(config, "full", positions, start + T);
  const sliding = attentionMask(config, "sliding", positions, start + T);
  const dispose = (): void => {
    for (const rope of new Set(Object.values(ropes))) rope.dispose();
    tf.dispose([full, sliding]);
  };
  return { batch, T, ropes, masks: { full, sliding }, dispose };
}

function ropesAt(config: ModelConfig, positions: readonly number[]): Frame["ropes"] {
  const full = ropeTables(config, "full", positions);
  switch (config.positions.kind) {
    case "rope":
      return { full, sliding: full };
    case "rope_by_layer_type":
      return { full, sliding: ropeTables(config, "sliding", positions) };
    default:
      return unreachable(config.positions);
  }
}

/** Concatenated heads before o_proj, `[R, Z]`, of whole prompts. Owner: caller. */
export function attend(context: LayerContext, resid_RD: Tensor, frame: Frame): Tensor {
  const { config, kind, rules } = context;
  return tf.tidy(() => {
    const { q_RZ, k_RJ, v_RJ } = projectQkv(context, resid_RD, frame.ropes[kind]);
    return attentionCore(config, { q_RZ, k_UJ: k_RJ, v_UJ: v_RJ, batch: frame.batch }, frame.masks[kind], rules);
  });
}

/** Residual stream between attention and MLP, `[R, D]`. Owner: caller. */
export function attendOutput(context: LayerContext, resid_RD: Tensor, z_RZ: Tensor): Tensor {
  return tf.tidy(() => tf.add(resid_RD, attentionOut(context, z_RZ)));
}

/** The MLP's neurons, `[R, M]`. Owner: caller. */
export function neurons(context: LayerContext, mid_RD: Tensor): Tensor {
  return tf.tidy(() => mlpNeurons(context, mid_RD));
}

/** What the MLP adds for these neurons, `[R, D]`. Owner: caller. */
export function neuronsOutput(context: LayerContext, neurons_RM: Tensor): Tensor {
  return tf.tidy(() => mlpOut(context, neurons_RM));
}

/** What the MLP adds, `[R, D]`. Owner: caller. */
export function mlpOutput(context: LayerContext, mid_RD: Tensor): Tensor {
  return tf.tidy(() => neuronsOutput(context, neurons(context, mid_RD)));
}

/** The layer's output from its input and its `z`, `[R, D]`. Owner: caller. */
export function afterAttention(context: LayerContext, resid_RD: Tensor, z_RZ: Tensor): Tensor {
  return tf.tidy(() => {
    const mid_RD = attendOutput(context, resid_RD, z_RZ);
    return tf.add(mid_RD, mlpOutput(context, mid_RD));
  });
}
