/**
 * @file One block of circuit rows through the model, spliced at every site where an evaluation changes something.
 *
 * Layers act on all rows of the block as one matrix; in the last layer only the answer position goes on after keys and
 * values. Where there are unablated runs to go on from, a block begins at the first layer and position that any of its evaluations
 * changes: what lies before has the unablated run's activations, keys and values.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../../base/assert.js";
import type { Site, SiteAt } from "../../nodes/site.js";
import { attentionCore, attentionMask, projectQkv } from "../../model/attention.js";
import {
  attendOutput,
  flatRows,
  frameFrom,
  mlpOutput,
  neurons,
  neuronsOutput,
  pickRows,
  sharedFrame,
  type Frame,
} from "../../model/layer.js";
import { AUTODIFF_RULES } from "../../model/backward-rules.js";
import type { LayerContext } from "../../model/layer-context.js";
import { layerContext, layersFrom, walkLayers } from "../../model/model.js";
import { lastRows, rowsOfPositions, unembed } from "../../model/unembedding.js";
import type { Pooled } from "../../model/weight-pool.js";
import type { Segment } from "./circuit-rows.js";
import type { Span } from "./circuit-site-work.js";
import {
  changes,
  changesParts,
  distinctOf,
  partsOf,
  segmentRows,
  spliceSite,
  type CircuitContext,
} from "./circuit-splice.js";
import { blockRows, type BlockRows } from "./segment-rows.js";
import { earliest, type FirstChange } from "./first-change.js";
import type { KeysAndValues } from "./unablated.js";

/** Answer logits of every row of the block, `[rows, A]`, in the block's order. Owner: caller. */
export async function runCircuitBlock(context: CircuitContext, segments: readonly Segment[]): Promise<Tensor> {
  const { spliced, positions, answers } = context;
  const { model } = spliced;
  const rows = segments.reduce((total, { count }) => total + count, 0);
  const first = firstOf(context, segments);
  const live = blockRows(context.rows, segments, { start: first.position, length: positions - first.position });
  const answer =
    live.span.length === 1
      ? live
      : blockRows(live.shared && context.rows, segments, { start: positions - 1, length: 1 });
  const frame =
    live.shared === null
      ? frameFrom(model.config, rows, live.span)
      : sharedFrame(model.config, live.shared, live.span.start);
  const block = { context, segments, frame, live };
  let resid_RD = tf.tidy(() => startRows(block, first.layer));
  const answerRows = answer.shared === null ? null : tf.tensor1d(answer.shared.rowOf, "int32");
  try {
    const through = (layer: number): void => {
      const out = layer === model.config.nLayers - 1 ? answer : live;
      const before = first.position === 0 ? null : keysBefore(context, layer);
      const next_RD = tf.tidy(() => circuitLayer({ ...block, before }, layer, resid_RD, out));
      resid_RD.dispose();
      resid_RD = next_RD;
    };
    const changedIn = (layer: number): Pooled<unknown>[] =>
      spliced.saes
        .filter((one) => one.layer === layer && changes(context, segments, one))
        .flatMap((one) => [one.sae, ...fitsOf(context, segments, one)]);
    await walkLayers(model, layersFrom(model.config, first.layer), through, changedIn);
    return tf.tidy(() => {
      const logits_RA = unembed(model.config, model.finalGain_D, resid_RD, answers.unembed_DA, AUTODIFF_RULES);
      return answerRows === null ? logits_RA : tf.gather(logits_RA, answerRows);
    });
  } finally {
    resid_RD.dispose();
    frame.dispose();
    answerRows?.dispose();
  }
}

/** The block's rows at the input of the first layer that runs. */
function startRows({ context, segments, live }: BlockParts, layer: number): Tensor {
  const { base, embedded_RD } = context;
  const input_RD = layer === 0 ? embedded_RD : must(base ?? undefined, "base").input(layer);
  return tf.concat(
    partsOf(segments, live).map(({ segment, rows }) =>
      distinctOf(ofSegment(context, input_RD, segment, live.span), rows),
    ),
  );
}

/** The first layer and position that the block runs. */
function firstOf({ base, changes, spliced, positions }: CircuitContext, segments: readonly Segment[]): FirstChange {
  if (base === null) return { layer: 0, position: 0 };
  const { layer, position } = earliest(segments.map(({ evaluation }) => must(changes[evaluation], "evaluation")));
  // What changes nothing still runs the last layer, at the answer.
  return { layer: Math.min(layer, spliced.model.config.nLayers - 1), position: Math.min(position, positions - 1) };
}

/** Some positions of a segment's prompts out of an evaluation's rows of whole prompts. */
function ofSegment({ positions }: CircuitContext, all_RD: Tensor, segment: Segment, span: Span): Tensor {
  const own_RD = segmentRows(all_RD, segment, positions);
  return span.length === positions ? own_RD : rowsOfPositions(own_RD, segment.count, span);
}

/** The unablated runs' keys and values of a layer. */
function keysBefore({ base, spliced }: CircuitContext, layer: number): KeysAndValues {
  return must(base ?? undefined, "base").keys(layerContext(spliced.model, layer), layer);
}

/** The fit of a site whose errors are changed in part. */
function fitsOf(context: CircuitContext, segments: readonly Segment[], at: SiteAt): Pooled<unknown>[] {
  return changesParts(context, segments, at) ? [must(context.spliced.errorFits, "fits of errors").at(at)] : [];
}

/** What a block is made of. */
interface BlockParts {
  readonly context: CircuitContext;
  readonly segments: readonly Segment[];
  readonly frame: Frame;
  /** The rows that are computed in all layers; in the last one only those of the answer go on after keys and values. */
  readonly live: BlockRows;
}

/** A block while it is run. */
interface RunningBlock extends BlockParts {
  /** Keys and values of the positions before the first, of all rows and positions; null where there are none. */
  readonly before: KeysAndValues | null;
}

/** One layer with its sites, leaving the given rows. */
function circuitLayer(block: RunningBlock, layer: number, resid_RD: Tensor, rows: BlockRows): Tensor {
  const { context, segments } = block;
  const at = layerContext(context.spliced.model, layer);
  const splice = (site: Site, x_RD: Tensor): Tensor =>
    spliceSite({ context, segments, at: { site, layer }, rows }, x_RD);
  const { z_RZ, kept_RD } = attendOver(at, block, resid_RD, rows);
  const mid_RD = attendOutput(at, kept_RD, splice("attn_z", z_RZ));
  const mlp_RD = changes(context, segments, { site: "mlp_post", layer })
    ? neuronsOutput(at, splice("mlp_post", neurons(at, mid_RD)))
    : mlpOutput(at, mid_RD);
  return splice("resid_post", tf.add(mid_RD, splice("mlp_out", mlp_RD)));
}

/** `z` of the rows `out`, and the layer's input there. */
function attendOver(
  at: LayerContext,
  block: RunningBlock,
  resid_RD: Tensor,
  out: BlockRows,
): { z_RZ: Tensor; kept_RD: Tensor } {
  const { config, kind, rules } = at;
  const { frame, live } = block;
  const { q_RZ, k_RJ, v_RJ } = projectQkv(at, resid_RD, frame.ropes[kind]);
  const own = { k_UJ: flatRows(k_RJ, frame), v_UJ: flatRows(v_RJ, frame) };
  const keys = { ...withEarlierKeys(block, own), batch: frame.batch };
  if (out === live) {
    const z_RZ = attentionCore(config, { q_RZ: flatRows(q_RZ, frame), ...keys }, frame.masks[kind], rules);
    return { z_RZ: pickRows(z_RZ, frame), kept_RD: resid_RD };
  }
  const { start, length } = out.span;
  const mask = attentionMask(config, kind, [start], start + length);
  const last = (x_RD: Tensor): Tensor => lastRows(flatRows(x_RD, frame), frame.batch);
  const pick = (x_RD: Tensor): Tensor =>
    out.shared === null ? x_RD : tf.gather(x_RD, tf.tensor1d(out.shared.holders, "int32"));
  const z_RZ = attentionCore(config, { q_RZ: last(q_RZ), ...keys }, mask, rules);
  return { z_RZ: pick(z_RZ), kept_RD: pick(last(resid_RD)) };
}

/** Keys and values of all positions: the unablated run's, then the block's own. */
function withEarlierKeys(
  { context, segments, frame, before }: RunningBlock,
  { k_UJ, v_UJ }: KeysAndValues,
): KeysAndValues {
  if (before === null) return { k_UJ, v_UJ };
  const earlier = { start: 0, length: context.positions - frame.T };
  const joined = (before_UJ: Tensor, own_UJ: Tensor): Tensor => {
    const width = must(own_UJ.shape[1], "width");
    const early_UJ = tf.concat(segments.map((segment) => ofSegment(context, before_UJ, segment, earlier)));
    const byPrompt = [early_UJ, own_UJ].map((part_UJ) => tf.reshape(part_UJ, [frame.batch, -1, width]));
    return tf.reshape(tf.concat(byPrompt, 1), [-1, width]);
  };
  return { k_UJ: joined(before.k_UJ, k_UJ), v_UJ: joined(before.v_UJ, v_UJ) };
}
