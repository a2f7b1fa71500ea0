/**
 * @file One block of patched runs, all layers in step.
 *
 * 1. A row joins in its node's layer with the positions that it patches: the clean activations of its prompt plus the node's delta.
 * 2. Queries, keys and values are computed where a row differs from the clean run; elsewhere they are the clean run's.
 * 3. Everything but attention acts on all rows and positions as one matrix, so a layer's weights are read once for a block.
 * 4. In the last layer only the answer position goes on after keys and values, and only answer tokens are unembedded.
 *
 * A row whose delta is zero repeats the clean run's operations on the clean run's numbers. Source: DESIGN "three algorithms".
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../../base/assert.js";
import { attentionCore, attentionMask, projectQkv } from "../../model/attention.js";
import { afterAttention } from "../../model/layer.js";
import type { Answers } from "../../model/metric.js";
import { AUTODIFF_RULES } from "../../model/backward-rules.js";
import { layerContext, layersFrom, walkLayers, type Model } from "../../model/model.js";
import type { Rope } from "../../model/rope.js";
import { unembed } from "../../model/unembedding.js";
import type { Run } from "../../passes/capture.js";
import type { CleanKeys } from "./clean-keys.js";
import { carriedRows, climbOf, eachCarried, sources, type Carried, type ClimbStep } from "./truth-climb.js";
import type { Deltas } from "./truth-deltas.js";
import { families, type TruthBlock } from "./truth-rows.js";

/** What every block of a call shares. */
export interface TruthContext {
  readonly model: Model;
  readonly clean: Run;
  readonly keys: CleanKeys;
  readonly deltas: Deltas;
  readonly answers: Answers;
  /** Tokens of every prompt. */
  readonly positions: number;
}

/** Answer logits of every row of the block, `[rows, A]`, in the block's order. Owner: caller. */
export async function runTruthBlock(context: TruthContext, block: TruthBlock): Promise<Tensor> {
  const { model, positions, answers } = context;
  const { steps, out } = climbOf(block, { positions, nLayers: model.config.nLayers });
  const first = must(steps[0], "layer").layer;
  let resid_RD: Tensor | null = null;
  try {
    await walkLayers(model, layersFrom(model.config, first), (layer) => {
      const next_RD = climbLayer(context, must(steps[layer - first], "layer"), resid_RD);
      resid_RD?.dispose();
      resid_RD = next_RD;
    });
    const last_RD = must(resid_RD as Tensor | null, "residual stream");
    return tf.tidy(() => {
      const order = indexTensor(orderOf(block, out));
      return unembed(model.config, model.finalGain_D, tf.gather(last_RD, order), answers.unembed_DA, AUTODIFF_RULES);
    });
  } finally {
    (resid_RD as Tensor | null)?.dispose();
  }
}

/** Where each row of the block ended. */
function orderOf({ rows }: TruthBlock, out: readonly Carried[]): Int32Array {
  const flat = new Map(out.map(({ row, offset }) => [row, offset]));
  return Int32Array.from(rows, (row) => must(flat.get(row), "row"));
}

/** One layer for every row that has joined. Owner of the result: caller. */
function climbLayer(context: TruthContext, step: ClimbStep, resid_RD: Tensor | null): Tensor {
  const { clean, positions } = context;
  const { layer, joinAfterAttention, joinAtEnd } = step;
  return tf.tidy(() => {
    const inputs: Tensor[] = [];
    const zs: Tensor[] = [];
    if (resid_RD !== null) {
      const { input_RD, z_RZ } = attend(context, step, resid_RD);
      inputs.push(input_RD);
      zs.push(z_RZ);
    }
    if (joinAfterAttention.length > 0) {
      inputs.push(tf.gather(clean.input(layer), indexTensor(carriedRows(joinAfterAttention, positions))));
      zs.push(patched(context, clean.site({ site: "attn_z", layer }), joinAfterAttention));
    }
    const outputs =
      inputs.length > 0 ? [afterAttention(layerContext(context.model, layer), stack(inputs), stack(zs))] : [];
    if (joinAtEnd.length > 0) outputs.push(patched(context, clean.site({ site: "resid_post", layer }), joinAtEnd));
    return stack(outputs);
  });
}

/** What attention makes of the rows, and their residual stream beside it, for all positions that leave the layer. */
function attend(
  { model, clean, keys, positions }: TruthContext,
  { layer, carried, groups }: ClimbStep,
  resid_RD: Tensor,
): { readonly input_RD: Tensor; readonly z_RZ: Tensor } {
  const context = layerContext(model, layer);
  const { config, kind, rules } = context;
  const rope = ropeAt(
    clean.frame.ropes[kind],
    eachCarried(carried, (_, position) => position),
  );
  const own = projectQkv(context, resid_RD, rope);
  const cleanOnes = keys.at(layer);
  const q = tf.concat([cleanOnes.q_RZ, own.q_RZ]);
  const k = tf.concat([cleanOnes.k_RJ, own.k_RJ]);
  const v = tf.concat([cleanOnes.v_RJ, own.v_RJ]);
  const size = { prompts: clean.frame.batch, positions };
  const everywhere = { start: 0, length: positions };
  const leaving = groups.map(({ span, members }) => indexTensor(sources(members, span, size)));
  const zs = groups.map(({ span, members }, group) =>
    tf.tidy(() => {
      const ofQueries = must(leaving[group], "group");
      const ofKeys = indexTensor(sources(members, everywhere, size));
      const queries = Array.from({ length: span.length }, (_, i) => span.start + i);
      const mask = attentionMask(config, kind, queries, positions);
      const chosen = { q_RZ: tf.gather(q, ofQueries), k_UJ: tf.gather(k, ofKeys), v_UJ: tf.gather(v, ofKeys) };
      return attentionCore(config, { ...chosen, batch: members.length }, mask, rules);
    }),
  );
  return { input_RD: tf.gather(tf.concat([clean.input(layer), resid_RD]), stack(leaving)), z_RZ: stack(zs) };
}

/** The rotation of rows at the given positions, out of that of whole prompts. */
function ropeAt(whole: Rope, positions: Int32Array): Rope {
  const index = indexTensor(positions);
  return { ...whole, cos_R1H: tf.gather(whole.cos_R1H, index), sin_R1H: tf.gather(whole.sin_R1H, index) };
}

/** Clean activations plus the delta of each row's node, where the row patches, `[R, d]`. */
function patched(context: TruthContext, table_RD: Tensor, joining: readonly Carried[]): Tensor {
  const clean_RD = tf.gather(table_RD, indexTensor(carriedRows(joining, context.positions)));
  return tf.add(clean_RD, stack(families(joining).map(context.deltas.patch)));
}

function indexTensor(index: Int32Array): Tensor {
  return tf.tensor1d(index, "int32");
}

function stack(parts: readonly Tensor[]): Tensor {
  return parts.length === 1 ? must(parts[0], "part") : tf.concat([...parts]);
}
