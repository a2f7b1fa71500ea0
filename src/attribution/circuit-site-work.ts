/**
 * @file What one evaluation does at one site, over a span of positions, as arrays for the device. Pure: no tensors.
 *
 * With f, e live, f', e' after the intervention, and decoder W, b:
 *
 * - error live:            `x' = x + (f' - f) W`: what the changed features contributed is taken out, what they become put in;
 * - error changed:         `x' = f' W + b + e'`: what the live features contribute stays, the rest is put in.
 *
 * Either way the live activations of some features are decoded and added or subtracted: the `columns`. All else is a constant
 * of the position (means, b), or comes from another run of the same or of the donor prompt. Features outside the columns are
 * never encoded. Source: REFERENCE 3, DESIGN "circuit evaluation".
 */
import { assert } from "../base/assert.js";
import { ABLATED, LIVE, RESTORED, type SiteIntervention } from "../circuit/intervention.js";

/** Consecutive positions. */
export interface Span {
  readonly start: number;
  readonly length: number;
}

/** Mean activations at one site; arrays may hold more positions than are used. */
export interface SiteMeans {
  /** `[T, F]`. */
  readonly features: Float32Array;
  /** `[T, D]`. */
  readonly errors: Float32Array;
}

/** Sizes and thresholds of the site's SAE. */
export interface SiteSae {
  readonly dIn: number;
  readonly dSae: number;
  /** A feature fires above this. */
  readonly gate: Float32Array;
}

/** Nodes that take their value from another run: weight 1 where they do. */
export interface RunTerm {
  /** `[span, F]`; null where no feature does. */
  readonly features: Float32Array | null;
  /** `[span]`; null where no error does. */
  readonly errors: Float32Array | null;
}

/** The work at one site. */
export interface SiteWork {
  /** Features to encode, ascending: those whose live activation counts at some position; null where all are. */
  readonly columns: Int32Array | null;
  /** What the pre-activation of each column has to exceed to count, `[span, columns]`: infinite where it never counts. */
  readonly gate: Float32Array;
  /** 1 where the live error stays (decoded features are subtracted), 0 where it is changed (they are added), `[span]`. */
  readonly errorLive: Float32Array;
  /** Constant feature activations, `[span, F]`; null where there is none. */
  readonly features: Float32Array | null;
  /** Constant error activations, `[span, D]`; null where there is none. */
  readonly errors: Float32Array | null;
  /** From the donor's run. */
  readonly donor: RunTerm;
  /** From the same prompt's unablated run. */
  readonly restored: RunTerm;
}

/** Below this share of the features, their columns are gathered instead of encoding all. */
const GATHER_BELOW = 0.5;

/**
 * The work of an intervention at a site; undefined where it changes nothing over the span.
 * @param means values of ablated nodes; null for zero ablation.
 * @param fromDonor ablated nodes take the donor's activations instead.
 */
export function siteWork(
  site: SiteIntervention,
  sae: SiteSae,
  span: Span,
  means: SiteMeans | null,
  fromDonor: boolean,
): SiteWork | undefined {
  const { dIn: D, dSae: F } = sae;
  const features = site.features.subarray(span.start * F, (span.start + span.length) * F);
  const errors = site.errors.subarray(span.start, span.start + span.length);
  assert(
    errors.length === span.length && features.length === span.length * F,
    "an intervention is shorter than its prompts",
  );
  if (features.every((state) => state === LIVE) && errors.every((state) => state === LIVE)) return undefined;
  const errorLive = Float32Array.from(errors, (state) => (state === LIVE ? 1 : 0));
  const used = usedColumns(features, errorLive, F);
  const columns = used.length < F * GATHER_BELOW ? used : null;
  return {
    columns,
    gate: columnGates(features, errorLive, columns ?? Int32Array.from({ length: F }, (_, i) => i), sae),
    errorLive,
    features: means === null ? null : whereAblated(features, means.features.subarray(span.start * F), 1),
    errors: means === null ? null : whereAblated(errors, means.errors.subarray(span.start * D), D),
    donor: fromDonor ? termOf(features, errors, ABLATED) : { features: null, errors: null },
    restored: termOf(features, errors, RESTORED),
  };
}

/** Whether a feature's live activation counts: changed features where the error is live, live features where it is changed. */
function counts(state: number, errorLive: number): boolean {
  return (state === LIVE) === (errorLive === 0);
}

function usedColumns(features: Uint8Array, errorLive: Float32Array, F: number): Int32Array {
  const used = new Uint8Array(F);
  for (const [t, live] of errorLive.entries())
    for (let i = 0; i < F; i++) if (counts(features[t * F + i] ?? LIVE, live)) used[i] = 1;
  return Int32Array.from(used.keys()).filter((i) => used[i] === 1);
}

function columnGates(
  features: Uint8Array,
  errorLive: Float32Array,
  columns: Int32Array,
  { dSae: F, gate }: SiteSae,
): Float32Array {
  const gates = new Float32Array(errorLive.length * columns.length);
  for (const [t, live] of errorLive.entries())
    for (const [n, i] of columns.entries()) {
      const isUsed = counts(features[t * F + i] ?? LIVE, live);
      gates[t * columns.length + n] = isUsed ? (gate[i] ?? NaN) : Number.POSITIVE_INFINITY;
    }
  return gates;
}

/** `values` at ablated nodes of `width` numbers each, 0 elsewhere; null where nothing is ablated. */
function whereAblated(states: Uint8Array, values: Float32Array, width: number): Float32Array | null {
  if (!states.includes(ABLATED)) return null;
  const chosen = new Float32Array(states.length * width);
  for (const [n, state] of states.entries()) {
    if (state !== ABLATED) continue;
    for (let i = n * width; i < (n + 1) * width; i++) chosen[i] = values[i] ?? NaN;
  }
  return chosen;
}

function termOf(features: Uint8Array, errors: Uint8Array, state: number): RunTerm {
  const weights = (states: Uint8Array): Float32Array | null =>
    states.includes(state) ? Float32Array.from(states, (one) => (one === state ? 1 : 0)) : null;
  return { features: weights(features), errors: weights(errors) };
}
