/**
 * @file What one evaluation does at one site, over a span of positions, as arrays for the device. Pure: no tensors.
 *
 * With f, e live, f', e' after the intervention, and decoder W, b:
 *
 * - error live:            `x' = x + (f' - f) W`: what the changed features contributed is taken out, what they become put in;
 * - error changed:         `x' = f' W + b + e'`: what the live features contribute stays, the rest is put in.
 *
 * Where errors are split, with `l = A x + b` the linear part of e and l', n' what its parts become:
 *
 * - linear part changed:   `x' = x + (f' - f) W - l + l'`;
 * - rest changed:          `x' = f' W + b + n' + l`: as with the error changed, but for the live linear part;
 * - both changed:          `x' = f' W + b + l' + n'`.
 *
 * In all of these the live activations of some features are decoded and added or subtracted: the `columns`. All else is a constant
 * of the position (means, b), or comes from another run of the same or of the donor prompt. Features outside the columns are
 * never encoded. Source: REFERENCE 3, DESIGN "circuit evaluation".
 */
import { assert } from "../../base/assert.js";
import { ABLATED, allLive, LIVE, RESTORED, type SiteIntervention } from "../../nodes/intervention.js";

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

/** Weights of the parts of errors, `[span]`: 1 where a part takes its value from there; null where none does. */
export interface PartTerm {
  readonly linear: Float32Array | null;
  readonly nonlinear: Float32Array | null;
}

/** What happens to parts of errors. */
export interface PartWork {
  /** How often the live linear part is added, `[span]`: -1 where it alone is changed, 1 where the rest alone is; null where nowhere. */
  readonly live: Float32Array | null;
  readonly means: PartTerm;
  /** From the donor's run. */
  readonly donor: PartTerm;
  /** From the same prompt's unablated run. */
  readonly restored: PartTerm;
}

/** Positions at which the same kind of thing happens to the live run. */
export interface PositionGroup {
  /** Within the span, ascending. */
  readonly positions: readonly number[];
  /** Whether the live error, or its nonlinear part, stays (decoded features are subtracted from x) or is changed (they replace x). */
  readonly errorLive: boolean;
  /** Features to encode, ascending: those whose live activation counts at some of the positions; null where all are. */
  readonly columns: Int32Array | null;
  /**
   * What a column's pre-activation has to exceed to count, `[positions, columns]`: infinite where it never counts.
   * Empty where nothing counts.
   */
  readonly gate: Float32Array;
}

/** The work at one site. */
export interface SiteWork {
  /** Every position of the span is in one group. */
  readonly groups: readonly PositionGroup[];
  /** 1 where the error, or its nonlinear part, is changed, `[span]`; null where it is nowhere. */
  readonly errorChanged: Float32Array | null;
  /** Constant feature activations, `[span, F]`; null where there is none. */
  readonly features: Float32Array | null;
  /** Constant error activations, `[span, D]`; null where there is none. */
  readonly errors: Float32Array | null;
  /** From the donor's run. */
  readonly donor: RunTerm;
  /** From the same prompt's unablated run. */
  readonly restored: RunTerm;
  /** Absent where no part of an error is changed. */
  readonly parts?: PartWork;
}

/** Below this share of the features, their columns are gathered instead of encoding all. */
const GATHER_BELOW = 0.5;

/** What ablated nodes of a site are set to. */
export interface AblatedTo {
  /** Null for zero ablation. */
  readonly means: SiteMeans | null;
  /** Ablated nodes take the donor's activations instead. */
  readonly fromDonor: boolean;
}

/**
 * The work of an intervention at a site; undefined where it changes nothing over the span.
 */
export function siteWork(
  site: Omit<SiteIntervention, "slices">,
  sae: SiteSae,
  span: Span,
  { means, fromDonor }: AblatedTo,
): SiteWork | undefined {
  const { dIn: D, dSae: F } = sae;
  const features = site.features.subarray(span.start * F, (span.start + span.length) * F);
  const errors = site.errors.subarray(span.start, span.start + span.length);
  assert(
    errors.length === span.length && features.length === span.length * F,
    "an intervention is shorter than its prompts",
  );
  const parts = partWork(site, span, means !== null, fromDonor);
  // What decides whether the features replace x: the whole error, or the part that no function of x says.
  const residual =
    parts === undefined ? errors : errors.map((one, t) => (one === LIVE ? nonlinearAt(site, span, t) : one));
  const stays = allLive(residual);
  if (stays && parts === undefined && allLive(features)) return undefined;
  return {
    groups: positionGroups(features, residual, sae),
    errorChanged: stays ? null : Float32Array.from(residual, (one) => (one === LIVE ? 0 : 1)),
    features: means === null ? null : whereAblated(features, means.features.subarray(span.start * F), 1),
    errors: means === null ? null : whereAblated(errors, means.errors.subarray(span.start * D), D),
    donor: fromDonor ? termOf(features, errors, ABLATED) : { features: null, errors: null },
    restored: termOf(features, errors, RESTORED),
    ...(parts === undefined ? {} : { parts }),
  };
}

/** What happens to parts of errors over the span; undefined where nothing does. */
function partWork(
  { linear, nonlinear }: Pick<SiteIntervention, "linear" | "nonlinear">,
  { start, length }: Span,
  toMeans: boolean,
  fromDonor: boolean,
): PartWork | undefined {
  if (linear === undefined || nonlinear === undefined) return undefined;
  const [l, n] = [linear.subarray(start, start + length), nonlinear.subarray(start, start + length)];
  if (allLive(l) && allLive(n)) return undefined;
  const term = (state: number): PartTerm => ({ linear: weightsOf(l, state), nonlinear: weightsOf(n, state) });
  const live = Float32Array.from(l, (one, t) => (one === LIVE ? 1 : 0) - (n[t] === LIVE ? 1 : 0));
  return {
    live: live.some((count) => count !== 0) ? live : null,
    means: toMeans ? term(ABLATED) : NOWHERE,
    donor: fromDonor ? term(ABLATED) : NOWHERE,
    restored: term(RESTORED),
  };
}

const NOWHERE: PartTerm = { linear: null, nonlinear: null };

function nonlinearAt({ nonlinear }: Pick<SiteIntervention, "nonlinear">, { start }: Span, t: number): number {
  return nonlinear?.[start + t] ?? LIVE;
}

/** Groups positions by whether the error stays, and by whether any live feature counts there. */
function positionGroups(features: Uint8Array, errors: Uint8Array, sae: SiteSae): PositionGroup[] {
  const F = sae.dSae;
  const grouped = new Map<string, { errorLive: boolean; positions: number[]; used: Uint8Array }>();
  for (const [t, state] of errors.entries()) {
    const errorLive = state === LIVE;
    const own = features.subarray(t * F, (t + 1) * F);
    // Changed features count where the error is live, live ones where it is changed.
    const counts = errorLive ? !allLive(own) : own.includes(LIVE);
    const key = `${String(errorLive)} ${String(counts)}`;
    const group = grouped.get(key) ?? { errorLive, positions: [], used: new Uint8Array(F) };
    grouped.set(key, group);
    group.positions.push(t);
    // A plain loop, as all over features here: there are very many.
    if (counts) for (let i = 0; i < F; i++) if ((own[i] === LIVE) !== errorLive) group.used[i] = 1;
  }
  return Array.from(grouped.values(), ({ errorLive, positions, used }) => {
    const needed: number[] = [];
    for (let i = 0; i < F; i++) if (used[i] === 1) needed.push(i);
    const columns = needed.length < F * GATHER_BELOW ? Int32Array.from(needed) : null;
    return { errorLive, positions, columns, gate: groupGates(features, { errorLive, positions, columns }, sae) };
  });
}

/** A group's gates: a feature that does not count at a position never fires there. */
function groupGates(
  features: Uint8Array,
  { errorLive, positions, columns }: Omit<PositionGroup, "gate">,
  { dSae: F, gate }: SiteSae,
): Float32Array {
  const n = columns?.length ?? F;
  const gates = new Float32Array(positions.length * n);
  for (const [p, t] of positions.entries())
    for (let c = 0; c < n; c++) {
      const i = columns?.[c] ?? c;
      const counts = (features[t * F + i] === LIVE) !== errorLive;
      gates[p * n + c] = counts ? (gate[i] ?? NaN) : Number.POSITIVE_INFINITY;
    }
  return gates;
}

/** `values` at ablated nodes of `width` numbers each, 0 elsewhere; null where nothing is ablated. */
function whereAblated(states: Uint8Array, values: Float32Array, width: number): Float32Array | null {
  if (!states.includes(ABLATED)) return null;
  const chosen = values.slice(0, states.length * width);
  for (let n = 0; n < states.length; n++)
    if (states[n] !== ABLATED) for (let i = n * width; i < (n + 1) * width; i++) chosen[i] = 0;
  return chosen;
}

function termOf(features: Uint8Array, errors: Uint8Array, state: number): RunTerm {
  return { features: weightsOf(features, state), errors: weightsOf(errors, state) };
}

/** 1 at the nodes in a state; null where none is. */
function weightsOf(states: Uint8Array, state: number): Float32Array | null {
  if (!states.includes(state)) return null;
  const weights = new Float32Array(states.length);
  for (let n = 0; n < states.length; n++) if (states[n] === state) weights[n] = 1;
  return weights;
}
