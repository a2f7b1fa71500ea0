/**
 * @file One site of a block of circuit rows: each evaluation's rows are changed by themselves, since its masks are its own.
 * Evaluations that change nothing there pass untouched.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../../base/assert.js";
import { allLive, type Intervention } from "../../nodes/intervention.js";
import { isSaeSite, siteHook, type SiteAt } from "../../nodes/site.js";
import type { Answers } from "../../model/metric.js";
import { rowsOfPositions } from "../../model/unembedding.js";
import { type ErrorFit, linearPart } from "../../sae/error-fit.js";
import { decode, encode, errorOf, type Sae } from "../../sae/sae.js";
import type { Model } from "../../model/model.js";
import type { Run } from "../../passes/capture.js";
import { runNeurons } from "../../passes/neurons.js";
import type { TokenRows } from "../../nodes/token-rows.js";
import type { Segment } from "./circuit-rows.js";
import type { BlockRows, SegmentRows } from "./segment-rows.js";
import { applySiteWork, decodeConstants, type RunActivations, type SplitErrors } from "./circuit-site.js";
import { siteWork, type SiteMeans, type SiteWork, type Span } from "./circuit-site-work.js";
import { applySliceWork, sliceWork, type SliceValues } from "./circuit-slices.js";
import type { SplicedModel } from "../../passes/spliced-model.js";
import type { FirstChange } from "./first-change.js";
import type { Unablated } from "./unablated.js";
import type { Means } from "../../artifacts/means-file.js";

/** What every block of a call shares. */
export interface CircuitContext {
  readonly spliced: SplicedModel;
  readonly interventions: readonly Intervention[];
  /** Values of ablated nodes; null where they are zero or the donor's. */
  readonly means: Means | null;
  /** The donors' unablated runs, clean and corrupted; null where ablated nodes do not take them. */
  readonly donors: readonly Run[] | null;
  /** The prompts' own unablated runs; null where nothing is restored. */
  readonly unablated: readonly Run[] | null;
  /** The same runs, where blocks go on from them; null where every block runs all layers at all positions. */
  readonly base: Unablated | null;
  /** Where each evaluation first changes anything. */
  readonly changes: readonly FirstChange[];
  /** Embedded tokens of all rows of an evaluation, whole prompts, `[rows x T, D]`. */
  readonly embedded_RD: Tensor;
  readonly answers: Answers;
  readonly positions: number;
  /** Which rows of an evaluation are equal where it does the same to all of them; null where each is computed by itself. */
  readonly rows: TokenRows | null;
}

/** A site of a block, over the rows that are computed there. */
export interface BlockSite {
  readonly context: CircuitContext;
  readonly segments: readonly Segment[];
  readonly at: SiteAt;
  readonly rows: BlockRows;
}

/** Changes each segment's rows of a site; a site that no segment changes is returned as it is. */
export function spliceSite(site: BlockSite, x_RD: Tensor): Tensor {
  const { context, segments, at } = site;
  if (!changes(context, segments, at)) return x_RD;
  const sae = context.spliced.sae(at);
  return sae === undefined ? spliceSlices(site, x_RD) : spliceSae(site, sae, x_RD);
}

/** Whether an evaluation of the block changes something at the site: at others no SAE is needed. */
export function changes({ interventions }: CircuitContext, segments: readonly Segment[], at: SiteAt): boolean {
  const hook = siteHook(at);
  return segments.some(({ evaluation }) => must(interventions[evaluation], "evaluation").has(hook));
}

/** A site without an SAE, slice by slice. */
function spliceSlices(blockSite: BlockSite, x_RD: Tensor): Tensor {
  const { context, segments, at, rows } = blockSite;
  const { span } = rows;
  const hook = siteHook(at);
  const values: SliceValues = {
    means: context.means?.sites.get(hook) ?? null,
    fromDonor: context.donors !== null,
  };
  const width = must(x_RD.shape[1], "width");
  const works = segments.map(({ evaluation }) => {
    const site = must(context.interventions[evaluation], "evaluation").get(hook);
    if (site === undefined) return undefined;
    if (context.means !== null) must(values.means ?? undefined, `means of ${hook}`);
    return sliceWork(site.slices, { T: context.positions, D: width }, span, values);
  });
  const rowsOf = (runs: readonly Run[] | null): Tensor => siteRows(context.spliced.model, runs, at, span);
  const donor = works.some((work) => (work?.donor ?? null) !== null) ? rowsOf(context.donors) : null;
  const unablated = works.some((work) => (work?.restored ?? null) !== null) ? rowsOf(context.unablated) : null;
  return changeSegments(blockSite, works, x_RD, (work, part, part_RD) => {
    const own = (run_RD: Tensor | null): Tensor | null => (run_RD === null ? null : computedRows(run_RD, part, span));
    const runs = { donor: own(donor), unablated: own(unablated) };
    return applySliceWork(work, part_RD, runs, part.rows.distinct?.position ?? null);
  });
}

function spliceSae(blockSite: BlockSite, sae: Sae, x_RD: Tensor): Tensor {
  const { context, segments, at, rows } = blockSite;
  const { span } = rows;
  const works = segments.map(({ evaluation }) => workOf(blockSite, sae, evaluation));
  const isSplit = works.some((work) => work?.parts !== undefined);
  const split = isSplit ? splitErrors(context, at, sae, span) : null;
  const activations = (runs: readonly Run[] | null): RunActivations =>
    activationsOf(sae, siteRows(context.spliced.model, runs, at, span), split?.fit ?? null);
  const donor = works.some((work) => takesFrom(work, "donor")) ? activations(context.donors) : null;
  const unablated = works.some((work) => takesFrom(work, "restored")) ? activations(context.unablated) : null;
  const constants = decodeConstants(sae, works, span.length);
  const spliced = works.map((work, i) =>
    work === undefined
      ? undefined
      : { work, constant_TD: constants[i] ?? null, positions: rows.segments[i]?.distinct?.position ?? null },
  );
  return changeSegments(blockSite, spliced, x_RD, (done, part, part_RD) => {
    const own = (run: RunActivations | null): RunActivations | null =>
      run === null
        ? null
        : {
            features_RF: computedRows(run.features_RF, part, span),
            errors_RD: computedRows(run.errors_RD, part, span),
            linear_RD: run.linear_RD === null ? null : computedRows(run.linear_RD, part, span),
          };
    return applySiteWork(sae, done, part_RD, { donor: own(donor), unablated: own(unablated), split });
  });
}

/** A segment and its computed rows. */
interface SegmentPart {
  readonly segment: Segment;
  readonly rows: SegmentRows;
}

/** The segments of a block. */
export function partsOf(segments: readonly Segment[], rows: BlockRows): SegmentPart[] {
  return segments.map((segment, i) => ({ segment, rows: must(rows.segments[i], "rows") }));
}

/** Applies each segment's work to its rows; segments without work pass as they are. */
function changeSegments<Work>(
  { segments, rows }: BlockSite,
  works: readonly (Work | undefined)[],
  x_RD: Tensor,
  change: (work: Work, part: SegmentPart, part_RD: Tensor) => Tensor,
): Tensor {
  if (works.every((work) => work === undefined)) return x_RD;
  const width = must(x_RD.shape[1], "width");
  const parts: Tensor[] = [];
  let offset = 0;
  for (const [i, part] of partsOf(segments, rows).entries()) {
    const { count } = part.rows;
    const part_RD = tf.slice(x_RD, [offset, 0], [count, width]);
    const work = works[i];
    parts.push(work === undefined ? part_RD : tf.tidy(() => change(work, part, part_RD)));
    offset += count;
  }
  return parts.length === 1 ? must(parts[0], "part") : tf.concat(parts);
}

function workOf({ context, at, rows: { span } }: BlockSite, sae: Sae, evaluation: number): SiteWork | undefined {
  const hook = siteHook(at);
  const site = must(context.interventions[evaluation], "evaluation").get(hook);
  if (site === undefined) return undefined;
  const means = context.means === null ? null : saeMeans(context.means, hook);
  return siteWork(site, sae, span, { means, fromDonor: context.donors !== null });
}

function saeMeans({ features, errors }: Means, hook: string): SiteMeans {
  return {
    features: must(features.get(hook), `means of ${hook}`),
    errors: must(errors.get(hook), `means of ${hook}`),
  };
}

/** Whether anything comes from another run. */
function takesFrom(work: SiteWork | undefined, run: "donor" | "restored"): boolean {
  if (work === undefined) return false;
  const { features, errors } = work[run];
  const part = work.parts?.[run];
  return [features, errors, part?.linear ?? null, part?.nonlinear ?? null].some((weights) => weights !== null);
}

/** How the site's errors are split, and the parts of their means over the span: those of the mean activation. */
function splitErrors({ spliced, means }: CircuitContext, at: SiteAt, sae: Sae, { start, length }: Span): SplitErrors {
  const fit = must(spliced.errorFits, "fits of errors").at(at).now();
  if (means === null) return { fit, means: null };
  const { features, errors } = saeMeans(means, siteHook(at));
  const over = (values: Float32Array, width: number): Tensor =>
    tf.tensor2d(values.slice(start * width, (start + length) * width), [length, width]);
  const e_TD = over(errors, sae.dIn);
  const x_TD = tf.add(decode(sae, over(features, sae.dSae)), e_TD);
  const linear_TD = linearPart(fit, x_TD);
  return { fit, means: { linear_TD, nonlinear_TD: tf.sub(e_TD, linear_TD) } };
}

/** Whether an evaluation of the block changes parts of the site's errors: elsewhere no fit is needed. */
export function changesParts({ interventions }: CircuitContext, segments: readonly Segment[], at: SiteAt): boolean {
  return segments.some(({ evaluation }) => {
    const site = must(interventions[evaluation], "evaluation").get(siteHook(at));
    return [site?.linear, site?.nonlinear].some((states) => states !== undefined && !allLive(states));
  });
}

/** Features and errors of rows, and the linear parts of the errors where they are split. */
function activationsOf(sae: Sae, x_RD: Tensor, fit: ErrorFit | null): RunActivations {
  const features_RF = encode(sae, x_RD);
  const linear_RD = fit === null ? null : linearPart(fit, x_RD);
  return { features_RF, errors_RD: errorOf(sae, x_RD, features_RF), linear_RD };
}

/** A site's activations of whole evaluations in unablated runs, over the span. */
function siteRows(model: Model, runs: readonly Run[] | null, at: SiteAt, span: Span): Tensor {
  const sides = must(runs, "the other runs").map((run) => {
    const x_RD = isSaeSite(at) ? run.site(at) : runNeurons(model, run, at.layer);
    return span.length === run.frame.T ? x_RD : rowsOfPositions(x_RD, run.frame.batch, span);
  });
  return sides.length === 1 ? must(sides[0], "side") : tf.concat(sides);
}

/** The computed rows of a segment out of an evaluation's over the span, `[count, width]`. */
function computedRows(all_RD: Tensor, { segment, rows }: SegmentPart, { length }: Span): Tensor {
  return distinctOf(segmentRows(all_RD, segment, length), rows);
}

/** The computed rows out of all of a segment's. */
export function distinctOf(own_RD: Tensor, { distinct }: SegmentRows): Tensor {
  return distinct === null ? own_RD : tf.gather(own_RD, tf.tensor1d(distinct.flat, "int32"));
}

/** The segment's rows out of an evaluation's, `[count x length, width]`. */
export function segmentRows(all_RD: Tensor, { start, count }: Segment, length: number): Tensor {
  const width = must(all_RD.shape[1], "width");
  if (count * length === all_RD.shape[0]) return all_RD;
  return tf.slice(all_RD, [start * length, 0], [count * length, width]);
}
