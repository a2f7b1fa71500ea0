/**
 * @file Circuits without SAEs: what one evaluation does to a site's own activation, slice by slice.
 *
 * `x' = x` where the slice is live, the mean, zero or the donor's x where it is ablated, the same prompt's unablated x where it
 * is restored. A slice is the whole site, one head of attn_z, or one neuron. Source: REFERENCE 5, with whole sites as nodes.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../../base/assert.js";
import { withPositionValues } from "./position-values.js";
import { ABLATED, allLive, LIVE, RESTORED } from "../../nodes/intervention.js";
import type { Span } from "./circuit-site-work.js";

/** The work at one site over a span of positions, on the host. Each array is `[span, D]`. */
export interface SliceWork {
  /** 1 where x stays. */
  readonly live: Float32Array;
  /** Means of ablated slices, 0 elsewhere; null where there are none. */
  readonly constant: Float32Array | null;
  /** 1 where the donor's activation is taken; null where it is nowhere. */
  readonly donor: Float32Array | null;
  /** 1 where the unablated run's is. */
  readonly restored: Float32Array | null;
}

/** How ablated slices get their values. */
export interface SliceValues {
  /** Mean activation of the site, `[T, D]`; null for zero ablation and for donors. */
  readonly means: Float32Array | null;
  readonly fromDonor: boolean;
}

/** The work of the states `[T, S]` at a site of width `D`; undefined where they change nothing over the span. */
export function sliceWork(
  slices: Uint8Array,
  { T, D }: { readonly T: number; readonly D: number },
  span: Span,
  { means, fromDonor }: SliceValues,
): SliceWork | undefined {
  const S = slices.length / T;
  const states = slices.subarray(span.start * S, (span.start + span.length) * S);
  if (allLive(states)) return undefined;
  const width = D / S;
  const where = (state: number, valueAt: (i: number) => number): Float32Array | null =>
    states.includes(state)
      ? Float32Array.from({ length: span.length * D }, (_, i) =>
          states[Math.floor(i / width)] === state ? valueAt(i) : 0,
        )
      : null;
  const one = (): number => 1;
  return {
    live: where(LIVE, one) ?? new Float32Array(span.length * D),
    constant: means === null ? null : where(ABLATED, (i) => must(means[span.start * D + i], "mean")),
    donor: fromDonor ? where(ABLATED, one) : null,
    restored: where(RESTORED, one),
  };
}

/** Other runs' activations at the site, for the same rows. */
export interface OtherSites {
  readonly donor: Tensor | null;
  readonly unablated: Tensor | null;
}

/** The site's activation after the work, `[R, D]`, of rows at these positions of the span. Owner: caller. */
export function applySliceWork(work: SliceWork, x_RD: Tensor, runs: OtherSites, positions: Int32Array | null): Tensor {
  return tf.tidy(() => {
    const D = must(x_RD.shape[1], "width");
    const at = { T: work.live.length / D, of: positions };
    const over = (values: Float32Array): Tensor => tf.tensor2d(values, [at.T, D]);
    const taken = (from_RD: Tensor, weights: Float32Array): Tensor =>
      withPositionValues(tf.mul, from_RD, over(weights), at);
    const terms = [taken(x_RD, work.live)];
    if (work.donor !== null) terms.push(taken(must(runs.donor, "the donor's run"), work.donor));
    if (work.restored !== null) terms.push(taken(must(runs.unablated, "the unablated run"), work.restored));
    const sum_RD = terms.reduce((sum, term) => tf.add(sum, term));
    return work.constant === null ? sum_RD : withPositionValues(tf.add, sum_RD, over(work.constant), at);
  });
}
