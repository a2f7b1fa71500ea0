/**
 * @file One layer, in the pieces between which its sites lie.
 *
 * 1. `z = attend(h)`                 site attn_z
 * 2. `mid = attendOutput(h, z)`      h + z Wo, through a norm where the model has one
 * 3. `a = neurons(mid)`              site mlp_post
 * 4. `m = neuronsOutput(a)`          site mlp_out
 * 5. `post = mid + m`                site resid_post
 *
 * Everything acts on flat rows `[B x T, D]`, or on the distinct ones among them; only attention knows prompts and positions, through a
 * {@link Frame}.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { unreachable } from "../base/assert.js";
import type { LayerType, ModelConfig } from "../families/family.js";
import type { TokenRows } from "../nodes/token-rows.js";
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
  /** Where equal rows are computed once; absent where every (prompt, position) has its own row. */
  readonly shared?: SharedRows;
  dispose(): void;
}

/** Which rows a frame's flat rows `b * T + t` are, as int32 indexes for gathers. */
export interface SharedRows {
  /** The distinct row of each flat row, `[B x T]`. */
  readonly rowOf: Tensor;
  /** A flat row of each distinct row, `[U]`. */
  readonly holders: Tensor;
}

/** The frame of `batch` whole prompts of `T` tokens. Owner: caller. */
export function wholeFrame(config: ModelConfig, batch: number, T: number): Frame {
  return frameFrom(config, batch, { start: 0, length: T });
}

/** The frame of the distinct rows of prompts, `[U, ..]`, at positions from `start` on. Owner: caller. */
export function sharedFrame(config: ModelConfig, { T, holders, rowOf }: TokenRows, start = 0): Frame {
  const positions = Array.from(holders, (row) => start + (row % T));
  const frame = frameOf(config, { batch: rowOf.length / T, positions }, { start, length: T });
  const shared = { rowOf: tf.tensor1d(rowOf, "int32"), holders: tf.tensor1d(holders, "int32") };
  const dispose = (): void => {
    frame.dispose();
    tf.dispose([shared.rowOf, shared.holders]);
  };
  return { ...frame, shared, dispose };
}

/** The rows of every (prompt, position), `[B x T, D]`, from those that are computed: themselves where these are all. Owner: caller. */
export function flatRows(x_RD: Tensor, { shared }: Pick<Frame, "shared">): Tensor {
  return shared === undefined ? x_RD : tf.gather(x_RD, shared.rowOf);
}

/** The opposite: the rows that are computed. Owner: caller. */
export function pickRows(x_RD: Tensor, { shared }: Pick<Frame, "shared">): Tensor {
  return shared === undefined ? x_RD : tf.gather(x_RD, shared.holders);
}

/** The frame of rows at the last positions of `batch` prompts, which see the keys of all positions. Owner: caller. */
export function frameFrom(config: ModelConfig, batch: number, span: QuerySpan): Frame {
  const positions = Array.from({ length: batch * span.length }, (_, row) => span.start + (row % span.length));
  return frameOf(config, { batch, positions }, span);
}

/** Positions whose queries attention takes. */
interface QuerySpan {
  readonly start: number;
  readonly length: number;
}

/** @param positions of each row. */
function frameOf(
  config: ModelConfig,
  { batch, positions }: { readonly batch: number; readonly positions: readonly number[] },
  { start, length: T }: QuerySpan,
): Frame {
  const queries = Array.from({ length: T }, (_, t) => start + t);
  const ropes = ropesAt(config, positions);
  const full = attentionMask(config, "full", queries, start + T);
  const sliding = attentionMask(config, "sliding", queries, start + T);
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
    const [q, k_UJ, v_UJ] = [flatRows(q_RZ, frame), flatRows(k_RJ, frame), flatRows(v_RJ, frame)];
    const z_RZ = attentionCore(config, { q_RZ: q, k_UJ, v_UJ, batch: frame.batch }, frame.masks[kind], rules);
    return pickRows(z_RZ, frame);
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
