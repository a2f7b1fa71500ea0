/**
 * @file One block of circuit rows through the model, spliced at every site where an evaluation changes something.
 *
 * Layers act on all rows of the block as one matrix. At a site each evaluation's rows are spliced by themselves, since its
 * masks are its own; evaluations that change nothing there pass untouched. In the last layer only the answer position goes
 * on after keys and values.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../base/assert.js";
import type { Intervention } from "../circuit/intervention.js";
import { siteHook, type Site, type SiteAt } from "../circuit/site.js";
import { attentionCore, attentionMask, projectQkv } from "../model/attention.js";
import { attendOutput, mlpOutput, wholeFrame, type Frame } from "../model/layer.js";
import type { Answers } from "../model/metric.js";
import { AUTODIFF_RULES } from "../model/backward-rules.js";
import { layerContext, type Model } from "../model/model.js";
import { lastRows, unembed } from "../model/unembedding.js";
import { encode, errorOf, type Sae } from "../sae/sae.js";
import type { Run } from "./capture.js";
import type { Segment } from "./circuit-rows.js";
import { applySiteWork, type OtherRuns, type RunActivations } from "./circuit-site.js";
import { siteWork, type SiteMeans, type SiteWork, type Span } from "./circuit-site-work.js";
import type { SplicedModel } from "./spliced-model.js";

/** What every block of a call shares. */
export interface CircuitContext {
  readonly spliced: SplicedModel;
  readonly interventions: readonly Intervention[];
  /** Values of ablated nodes by site; null where they are zero or the donor's. */
  readonly means: (at: SiteAt) => SiteMeans | null;
  /** The donors' unablated runs, clean and corrupted; null where ablated nodes do not take them. */
  readonly donors: readonly Run[] | null;
  /** The prompts' own unablated runs; null where nothing is restored. */
  readonly unablated: readonly Run[] | null;
  /** Thresholds by site hook. */
  readonly gates: ReadonlyMap<string, Float32Array>;
  /** Embedded tokens of all rows of an evaluation, whole prompts, `[rows x T, D]`. */
  readonly embedded_RD: Tensor;
  readonly answers: Answers;
  readonly positions: number;
}

/** Answer logits of every row of the block, `[rows, A]`, in the block's order. Owner: caller. */
export function runCircuitBlock(context: CircuitContext, segments: readonly Segment[]): Tensor {
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
    for (let layer = 0; layer < model.layers.length; layer++) {
      const out = layer === model.layers.length - 1 ? answer : whole;
      const next_RD = tf.tidy(() => circuitLayer(context, segments, layer, resid_RD, frame, out));
      resid_RD.dispose();
      resid_RD = next_RD;
    }
    return unembed(model.config, model.finalGain_D, resid_RD, answers.unembed_DA, AUTODIFF_RULES);
  } finally {
    resid_RD.dispose();
    frame.dispose();
  }
}

/** One layer with its three sites, leaving the positions of `out`. */
function circuitLayer(
  context: CircuitContext,
  segments: readonly Segment[],
  layer: number,
  resid_RD: Tensor,
  frame: Frame,
  out: Span,
): Tensor {
  const at = layerContext(context.spliced.model, layer);
  const splice = (site: Site, x_RD: Tensor): Tensor => spliceSite(context, segments, { site, layer }, x_RD, out);
  const { z_RZ, kept_RD } = attendOver(context.spliced.model, layer, resid_RD, frame, out);
  const mid_RD = attendOutput(at, kept_RD, splice("attn_z", z_RZ));
  return splice("resid_post", tf.add(mid_RD, splice("mlp_out", mlpOutput(at, mid_RD))));
}

/** `z` at the positions of `out`, and the layer's input there. */
function attendOver(
  model: Model,
  layer: number,
  resid_RD: Tensor,
  frame: Frame,
  out: Span,
): { z_RZ: Tensor; kept_RD: Tensor } {
  const { config, weights, kind, rules } = layerContext(model, layer);
  const { q_RZ, k_RJ, v_RJ } = projectQkv(config, weights, resid_RD, frame.ropes[kind], rules);
  const keys = { k_UJ: k_RJ, v_UJ: v_RJ, batch: frame.batch };
  if (out.length === frame.T)
    return { z_RZ: attentionCore(config, { q_RZ, ...keys }, frame.masks[kind], rules), kept_RD: resid_RD };
  const mask = attentionMask(config, kind, [out.start], frame.T);
  const z_RZ = attentionCore(config, { q_RZ: lastRows(q_RZ, frame.batch), ...keys }, mask, rules);
  return { z_RZ, kept_RD: lastRows(resid_RD, frame.batch) };
}

/** Splices each segment's rows of a site; a site that no segment changes is returned as it is. */
function spliceSite(
  context: CircuitContext,
  segments: readonly Segment[],
  at: SiteAt,
  x_RD: Tensor,
  span: Span,
): Tensor {
  const sae = context.spliced.sae(at);
  if (sae === undefined) return x_RD;
  const works = segments.map(({ evaluation }) => workOf(context, evaluation, at, sae, span));
  if (works.every((work) => work === undefined)) return x_RD;
  const needsDonor = works.some((work) => work !== undefined && (work.donor.features ?? work.donor.errors) !== null);
  const needsUnablated = works.some(
    (work) => work !== undefined && (work.restored.features ?? work.restored.errors) !== null,
  );
  const donor = needsDonor ? activationsOf(sae, context.donors, at, span) : null;
  const unablated = needsUnablated ? activationsOf(sae, context.unablated, at, span) : null;
  const parts: Tensor[] = [];
  let offset = 0;
  for (const [i, segment] of segments.entries()) {
    const size = segment.count * span.length;
    const part_RD = tf.slice(x_RD, [offset, 0], [size, sae.dIn]);
    const work = works[i];
    const own = (run: RunActivations | null): RunActivations | null =>
      run === null
        ? null
        : {
            features_RF: segmentRows(run.features_RF, segment, span.length),
            errors_RD: segmentRows(run.errors_RD, segment, span.length),
          };
    const runs = (): OtherRuns => ({ donor: own(donor), unablated: own(unablated) });
    parts.push(work === undefined ? part_RD : tf.tidy(() => applySiteWork(sae, work, part_RD, runs())));
    offset += size;
  }
  return parts.length === 1 ? must(parts[0], "part") : tf.concat(parts);
}

function workOf(context: CircuitContext, evaluation: number, at: SiteAt, sae: Sae, span: Span): SiteWork | undefined {
  const hook = siteHook(at);
  const site = must(context.interventions[evaluation], "evaluation").get(hook);
  if (site === undefined) return undefined;
  const gate = must(context.gates.get(hook), "thresholds");
  return siteWork(site, { dIn: sae.dIn, dSae: sae.dSae, gate }, span, context.means(at), context.donors !== null);
}

/** Features and errors of whole evaluations in unablated runs, over the span. */
function activationsOf(sae: Sae, runs: readonly Run[] | null, at: SiteAt, span: Span): RunActivations {
  const sides = must(runs, "the other runs").map((run) => {
    const x_RD = run.site(at);
    return span.length === run.frame.T ? x_RD : lastRows(x_RD, run.frame.batch);
  });
  const x_RD = sides.length === 1 ? must(sides[0], "side") : tf.concat(sides);
  const features_RF = encode(sae, x_RD);
  return { features_RF, errors_RD: errorOf(sae, x_RD, features_RF) };
}

/** The segment's rows out of an evaluation's, `[count x length, width]`. */
function segmentRows(all_RD: Tensor, { start, count }: Segment, length: number): Tensor {
  const width = must(all_RD.shape[1], "width");
  if (count * length === all_RD.shape[0]) return all_RD;
  return tf.slice(all_RD, [start * length, 0], [count * length, width]);
}
