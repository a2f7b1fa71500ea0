/**
 * @file One block of circuit rows through the model, spliced at every site where an evaluation changes something.
 *
 * Layers act on all rows of the block as one matrix; in the last layer only the answer position goes on after keys and
 * values.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../../base/assert.js";
import type { Site, SiteAt } from "../../nodes/site.js";
import { attentionCore, attentionMask, projectQkv } from "../../model/attention.js";
import { attendOutput, mlpOutput, neurons, neuronsOutput, wholeFrame, type Frame } from "../../model/layer.js";
import { AUTODIFF_RULES } from "../../model/backward-rules.js";
import type { LayerContext } from "../../model/layer-context.js";
import { layerContext, layersFrom, walkLayers } from "../../model/model.js";
import { lastRows, unembed } from "../../model/unembedding.js";
import type { Pooled } from "../../model/weight-pool.js";
import type { Segment } from "./circuit-rows.js";
import type { Span } from "./circuit-site-work.js";
import { changes, changesParts, segmentRows, spliceSite, type CircuitContext } from "./circuit-splice.js";

/** Answer logits of every row of the block, `[rows, A]`, in the block's order. Owner: caller. */
export async function runCircuitBlock(context: CircuitContext, segments: readonly Segment[]): Promise<Tensor> {
  const { spliced, positions, answers } = context;
  const { model } = spliced;
  const rows = segments.reduce((total, { count }) => total + count, 0);
  const frame = wholeFrame(model.config, rows, positions);
  const whole = { start: 0, length: positions };
  const answer = { start: positions - 1, length: 1 };
  let resid_RD = tf.tidy(() =>
    tf.concat(segments.map((segment) => segmentRows(context.embedded_RD, segment, positions))),
  );
  try {
    const through = (layer: number): void => {
      const out = layer === model.config.nLayers - 1 ? answer : whole;
      const next_RD = tf.tidy(() => circuitLayer({ context, segments, frame }, layer, resid_RD, out));
      resid_RD.dispose();
      resid_RD = next_RD;
    };
    const changedIn = (layer: number): Pooled<unknown>[] =>
      spliced.saes
        .filter((one) => one.layer === layer && changes(context, segments, one))
        .flatMap((one) => [one.sae, ...fitsOf(context, segments, one)]);
    await walkLayers(model, layersFrom(model.config), through, changedIn);
    return unembed(model.config, model.finalGain_D, resid_RD, answers.unembed_DA, AUTODIFF_RULES);
  } finally {
    resid_RD.dispose();
    frame.dispose();
  }
}

/** The fit of a site whose errors are changed in part. */
function fitsOf(context: CircuitContext, segments: readonly Segment[], at: SiteAt): Pooled<unknown>[] {
  return changesParts(context, segments, at) ? [must(context.spliced.errorFits, "fits of errors").at(at)] : [];
}

/** A block while it is run. */
interface RunningBlock {
  readonly context: CircuitContext;
  readonly segments: readonly Segment[];
  readonly frame: Frame;
}

/** One layer with its sites, leaving the positions of the span. */
function circuitLayer({ context, segments, frame }: RunningBlock, layer: number, resid_RD: Tensor, span: Span): Tensor {
  const at = layerContext(context.spliced.model, layer);
  const splice = (site: Site, x_RD: Tensor): Tensor =>
    spliceSite({ context, segments, at: { site, layer }, span }, x_RD);
  const { z_RZ, kept_RD } = attendOver(at, resid_RD, frame, span);
  const mid_RD = attendOutput(at, kept_RD, splice("attn_z", z_RZ));
  const mlp_RD = changes(context, segments, { site: "mlp_post", layer })
    ? neuronsOutput(at, splice("mlp_post", neurons(at, mid_RD)))
    : mlpOutput(at, mid_RD);
  return splice("resid_post", tf.add(mid_RD, splice("mlp_out", mlp_RD)));
}

/** `z` at the positions of `out`, and the layer's input there. */
function attendOver(
  context: LayerContext,
  resid_RD: Tensor,
  frame: Frame,
  out: Span,
): { z_RZ: Tensor; kept_RD: Tensor } {
  const { config, kind, rules } = context;
  const { q_RZ, k_RJ, v_RJ } = projectQkv(context, resid_RD, frame.ropes[kind]);
  const keys = { k_UJ: k_RJ, v_UJ: v_RJ, batch: frame.batch };
  if (out.length === frame.T)
    return { z_RZ: attentionCore(config, { q_RZ, ...keys }, frame.masks[kind], rules), kept_RD: resid_RD };
  const mask = attentionMask(config, kind, [out.start], frame.T);
  const z_RZ = attentionCore(config, { q_RZ: lastRows(q_RZ, frame.batch), ...keys }, mask, rules);
  return { z_RZ, kept_RD: lastRows(resid_RD, frame.batch) };
}
