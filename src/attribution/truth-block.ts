/**
 * @file One block of patched runs, all layers in step.
 *
 * 1. A row enters in its node's layer: the clean activations of its prompt, from the block's first position on, plus the
 *    node's delta.
 * 2. Rows carry only positions from the block's start. Their keys and values are put behind the clean prefix of their prompt.
 * 3. Everything but attention acts on all rows and positions as one matrix, so a layer's weights are read once for a block.
 * 4. In the last layer only the answer position goes on after keys and values, and only answer tokens are unembedded.
 *
 * A row whose delta is zero repeats the clean run's operations on the clean run's numbers. Source: DESIGN "three algorithms".
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../base/assert.js";
import { GLOBAL_POSITION } from "../circuit/node.js";
import { attentionCore, attentionMask, projectQkv } from "../model/attention.js";
import { afterAttention } from "../model/layer.js";
import type { Answers } from "../model/metric.js";
import { AUTODIFF_RULES } from "../model/backward-rules.js";
import { layerContext, layersFrom, walkLayers, type Model } from "../model/model.js";
import { ropeTables, type Rope } from "../model/rope.js";
import { lastRows, unembed } from "../model/unembedding.js";
import type { LayerType } from "../weights/model-config.js";
import type { Run } from "./capture.js";
import type { CleanKeys } from "./clean-keys.js";
import type { Deltas } from "./truth-deltas.js";
import { families, joinOf, type TruthBlock, type TruthRow } from "./truth-rows.js";

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

/** Consecutive positions. */
interface Span {
  readonly start: number;
  readonly length: number;
}

/** Rows on their way up, in joining order: `rows.length * span.length` flat rows. */
interface Climbing {
  readonly rows: readonly TruthRow[];
  readonly resid_RD: Tensor | null;
}

/** Answer logits of every row of the block, `[rows, A]`, in the block's order. Owner: caller. */
export async function runTruthBlock(context: TruthContext, block: TruthBlock): Promise<Tensor> {
  const { model, positions, answers } = context;
  const span = { start: block.start, length: positions - block.start };
  const answer = { start: positions - 1, length: 1 };
  const last = model.config.nLayers - 1;
  let climbing: Climbing = { rows: [], resid_RD: null };
  let cursor = 0;
  const taking = (join: number): TruthRow[] => {
    const from = cursor;
    while (cursor < block.rows.length && joinOf(must(block.rows[cursor], "row").node) === join) cursor += 1;
    return block.rows.slice(from, cursor);
  };
  try {
    await walkLayers(model, layersFrom(model.config, must(block.rows[0], "row").node.layer), (layer) => {
      const joining = { afterAttention: taking(2 * layer), atEnd: taking(2 * layer + 1) };
      const resid_RD = climbLayer(context, layer, climbing, joining, span, layer === last ? answer : span);
      climbing.resid_RD?.dispose();
      climbing = { rows: [...climbing.rows, ...joining.afterAttention, ...joining.atEnd], resid_RD };
    });
    const resid_RD = must(climbing.resid_RD, "residual stream");
    return unembed(model.config, model.finalGain_D, resid_RD, answers.unembed_DA, AUTODIFF_RULES);
  } finally {
    climbing.resid_RD?.dispose();
  }
}

/** One layer for every row that has joined; `out` is the span that leaves it. Owner of the result: caller. */
function climbLayer(
  context: TruthContext,
  layer: number,
  climbing: Climbing,
  joining: { readonly afterAttention: readonly TruthRow[]; readonly atEnd: readonly TruthRow[] },
  span: Span,
  out: Span,
): Tensor {
  const { clean } = context;
  return tf.tidy(() => {
    const inputs: Tensor[] = [];
    const zs: Tensor[] = [];
    if (climbing.resid_RD !== null) {
      const short = span.length === out.length;
      inputs.push(short ? climbing.resid_RD : lastRows(climbing.resid_RD, climbing.rows.length));
      zs.push(attendWithPrefix(context, layer, climbing.rows, climbing.resid_RD, span, out));
    }
    if (joining.afterAttention.length > 0) {
      inputs.push(cleanRows(clean.input(layer), joining.afterAttention, out, context.positions));
      zs.push(patchedRows(context, clean.site({ site: "attn_z", layer }), joining.afterAttention, out));
    }
    const outputs =
      inputs.length > 0 ? [afterAttention(layerContext(context.model, layer), stack(inputs), stack(zs))] : [];
    if (joining.atEnd.length > 0)
      outputs.push(patchedRows(context, clean.site({ site: "resid_post", layer }), joining.atEnd, out));
    return stack(outputs);
  });
}

/** Attention of rows that carry `span`, for queries at `out`: keys are the prompt's clean ones, then the row's own. */
function attendWithPrefix(
  { model, keys, positions }: TruthContext,
  layer: number,
  rows: readonly TruthRow[],
  resid_RD: Tensor,
  span: Span,
  out: Span,
): Tensor {
  const { config, weights, kind, rules } = layerContext(model, layer);
  const own = projectQkv(config, weights, resid_RD, ropeOf(model, kind, rows.length, span), rules);
  const batch = rows.length;
  const q_RZ = span.length === out.length ? own.q_RZ : lastRows(own.q_RZ, batch);
  const queries = Array.from({ length: out.length }, (_, i) => out.start + i);
  const mask = attentionMask(config, kind, queries, positions);
  if (span.start === 0) return attentionCore(config, { q_RZ, k_UJ: own.k_RJ, v_UJ: own.v_RJ, batch }, mask, rules);
  const { k_RJ, v_RJ } = keys.at(layer);
  const withPrefix = (clean_RJ: Tensor, own_RJ: Tensor): Tensor => {
    const J = must(own_RJ.shape[1], "width");
    const before_RJ = cleanRows(clean_RJ, rows, { start: 0, length: span.start }, positions);
    const parts = [before_RJ, own_RJ].map((part) => tf.reshape(part, [batch, -1, J]));
    return tf.reshape(tf.concat(parts, 1), [batch * positions, J]);
  };
  const whole = { k_UJ: withPrefix(k_RJ, own.k_RJ), v_UJ: withPrefix(v_RJ, own.v_RJ) };
  return attentionCore(config, { q_RZ, ...whole, batch }, mask, rules);
}

/** Rope of `batch` rows that carry the span. */
function ropeOf(model: Model, kind: LayerType, batch: number, span: Span): Rope {
  const one = ropeTables(
    model.config,
    kind,
    Array.from({ length: span.length }, (_, i) => span.start + i),
  );
  const index = tf.tensor1d(
    Int32Array.from({ length: batch * span.length }, (_, row) => row % span.length),
    "int32",
  );
  return { ...one, cos_R1H: tf.gather(one.cos_R1H, index), sin_R1H: tf.gather(one.sin_R1H, index) };
}

/** Clean activations of each row's prompt over a span, `[rows x span, d]`. */
function cleanRows(table_RD: Tensor, rows: readonly TruthRow[], span: Span, positions: number): Tensor {
  return tf.gather(table_RD, rowIndex(rows, span, positions));
}

/** Clean activations plus each row's delta. */
function patchedRows(context: TruthContext, table_RD: Tensor, rows: readonly TruthRow[], span: Span): Tensor {
  const deltas = families(rows).map((family) => familyDelta(context, family, span));
  return tf.add(cleanRows(table_RD, rows, span, context.positions), stack(deltas));
}

function rowIndex(rows: readonly TruthRow[], { start, length }: Span, positions: number): Tensor {
  const index = new Int32Array(rows.length * length);
  for (const [r, { prompt }] of rows.entries())
    for (let i = 0; i < length; i++) index[r * length + i] = prompt * positions + start + i;
  return tf.tensor1d(index, "int32");
}

/** Deltas of rows of one kind at one site, zero where a row does not patch, `[rows x span, d]`. */
function familyDelta(context: TruthContext, rows: readonly TruthRow[], span: Span): Tensor {
  const { deltas, positions, model } = context;
  const { node } = must(rows[0], "row");
  const n = rows.length;
  if (node.kind === "feature") {
    const weight = patchWeights(rows, span, ({ slot, prompt }, position) =>
      deltas.change(slot, prompt * positions + position),
    );
    const decoder_ND = deltas.directions(
      node,
      rows.map((row) => row.node.feature),
    );
    const D = must(decoder_ND.shape[1], "width");
    const spread_NTD = tf.mul(tf.reshape(weight, [n, span.length, 1]), tf.reshape(decoder_ND, [n, 1, D]));
    return tf.reshape(spread_NTD, [n * span.length, D]);
  }
  const table_RD = deltas.rows(node, node.kind === "error" ? "error" : "site");
  const whole_RD = cleanRows(table_RD, rows, span, positions);
  const weight = patchWeights(rows, span, () => 1);
  if (node.kind !== "head") return tf.mul(whole_RD, weight);
  const { nHeads: N, headDim: H } = model.config;
  // Built here: on wasm tf.oneHot writes the bits of integers whatever the type it is asked for.
  const heads = Float32Array.from({ length: n * N }, (_, i) => (i % N === rows[Math.floor(i / N)]?.node.head ? 1 : 0));
  const chosen = tf.tensor2d(heads, [n, N]);
  const mask_NTN = tf.mul(tf.reshape(weight, [n, span.length, 1]), tf.reshape(chosen, [n, 1, N]));
  const masked = tf.mul(tf.reshape(whole_RD, [n * span.length, N, H]), tf.reshape(mask_NTN, [n * span.length, N, 1]));
  return tf.reshape(masked, [n * span.length, N * H]);
}

/** A weight for each flat row, `[rows x span, 1]`: 0 at positions that the row does not patch. */
function patchWeights(
  rows: readonly TruthRow[],
  span: Span,
  weight: (row: TruthRow, position: number) => number,
): Tensor {
  const weights = new Float32Array(rows.length * span.length);
  for (const [r, row] of rows.entries())
    for (let i = 0; i < span.length; i++) {
      const position = span.start + i;
      const patches = row.node.position === GLOBAL_POSITION || row.node.position === position;
      if (patches) weights[r * span.length + i] = weight(row, position);
    }
  return tf.tensor2d(weights, [rows.length * span.length, 1]);
}

function stack(parts: readonly Tensor[]): Tensor {
  return parts.length === 1 ? must(parts[0], "part") : tf.concat([...parts]);
}
