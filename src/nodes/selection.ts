/**
 * @file Circuits from node scores: a threshold keeps nodes, everything else is ablated.
 *
 * 1. A node is kept when its score (signed) or the score's magnitude (absolute) reaches the threshold. A score of exactly 0 is
 *    kept at threshold 0.
 * 2. A variant drops error nodes of some sites at every position: they are ablated in the circuit and in its complement.
 * 3. The circuit ablates what is not kept; the complement ablates what is kept.
 * 4. Layers below the exemption are never ablated, whatever the steps above say. Counts exist before and after this step.
 *
 * Source: REFERENCE 5; Marks et al. 2024 (arXiv 2403.19647), section 3.
 */
import { must } from "../base/assert.js";
import { ABLATED, LIVE, type Intervention, type SiteIntervention } from "./intervention.js";
import { KINDS, type NodeCounts } from "./kinds.js";
import {
  addCounts,
  interventionOf,
  kindsAt,
  scoresAt,
  scoresKey,
  uniformSite,
  zeroCounts,
  type CircuitSite,
} from "./node-states.js";
import type { Site } from "./site.js";

/** `signed` keeps scores >= threshold, `absolute` keeps |score| >= threshold. */
export const KEEPS = ["signed", "absolute"] as const;
/** How a threshold decides which nodes are kept. */
export type Keep = (typeof KEEPS)[number];

/** Which error nodes are ablated whatever their score. */
export const VARIANTS = ["all", "no_resid_errors", "no_mlp_attn_errors"] as const;
/** A rule for error nodes beside the threshold. */
export type Variant = (typeof VARIANTS)[number];

/** Mean scores of every node. Arrays may hold more positions than are used. */
export interface NodeScores {
  /** `[T, F]`, by site hook. Keys are those of an intervention's states. */
  readonly features: ReadonlyMap<string, ArrayLike<number>>;
  /** `[T]`, by site hook. */
  readonly errors: ReadonlyMap<string, ArrayLike<number>>;
  /** Whole sites `[T]`, heads `[T, H]` and neurons `[T, M]`, by node hook. */
  readonly slices: ReadonlyMap<string, ArrayLike<number>>;
  /** Linear parts of errors, `[T]`, by site hook; absent where errors are not split. */
  readonly linear?: ReadonlyMap<string, ArrayLike<number>>;
  /** Nonlinear parts, likewise. */
  readonly nonlinear?: ReadonlyMap<string, ArrayLike<number>>;
}

/** What fixes a circuit. */
export interface CircuitChoice {
  readonly sites: readonly CircuitSite[];
  /** Positions of the prompts it is for. */
  readonly positions: number;
  readonly scores: NodeScores;
  readonly threshold: number;
  readonly keep: Keep;
  readonly variant: Variant;
  /** Layers below this one are never ablated; 0 exempts none. */
  readonly exemptLayers: number;
}

/** A circuit and its complement as interventions, and their sizes. */
export interface ChosenCircuit {
  readonly circuit: Intervention;
  readonly complement: Intervention;
  /** Nodes kept by score and variant, before the exemption. */
  readonly counts: NodeCounts;
  /** Nodes that the circuit does not ablate: the same after the exemption. */
  readonly notAblated: NodeCounts;
}

/** Whether a threshold keeps a node of this score. */
export function keeps(score: number, threshold: number, keep: Keep): boolean {
  return (keep === "signed" ? score : Math.abs(score)) >= threshold;
}

const WITHOUT_ERRORS: Readonly<Record<Variant, readonly Site[]>> = {
  all: [],
  no_resid_errors: ["resid_post"],
  no_mlp_attn_errors: ["mlp_out", "attn_z"],
};

/** Whether a variant ablates the error nodes of a site at every position. */
export function variantAblatesErrors(variant: Variant, site: Site): boolean {
  return WITHOUT_ERRORS[variant].includes(site);
}

/** Selects the nodes that a threshold and a variant keep, as a pair of interventions. */
export function interventionFromScores(choice: CircuitChoice): ChosenCircuit {
  const counts = zeroCounts();
  const notAblated = zeroCounts();
  const kept = new Map(choice.sites.map((at) => [at, keptAt(choice, at)] as const));
  for (const [at, states] of kept) {
    addCounts(counts, at, states, total);
    addCounts(notAblated, at, states, at.layer < choice.exemptLayers ? ({ length }) => length : total);
  }
  const ablating = (value: 0 | 1): Intervention =>
    interventionOf(choice.sites, (at) => {
      const here = kept.get(at);
      if (here === undefined || at.layer < choice.exemptLayers) return undefined;
      return {
        features: ablateWhere(here.features, value),
        errors: variantAblatesErrors(choice.variant, at.site)
          ? new Uint8Array(here.errors.length).fill(ABLATED)
          : ablateWhere(here.errors, value),
        slices: ablateWhere(here.slices, value),
      };
    });
  return { circuit: ablating(0), complement: ablating(1), counts, notAblated };
}

/** 1 for each node that score and variant keep. */
function keptAt({ positions, scores, threshold, keep, variant }: CircuitChoice, at: CircuitSite): SiteIntervention {
  const kept = uniformSite(at, positions, 0);
  for (const kind of kindsAt(at)) {
    const { states } = KINDS[kind];
    if (states === "errors" && variantAblatesErrors(variant, at.site)) continue;
    const flags = must(kept[states], states);
    const of = scoresAt(scores[states], scoresKey(at, kind), flags.length);
    for (let i = 0; i < flags.length; i++) if (keeps(of[i] ?? Number.NaN, threshold, keep)) flags[i] = 1;
  }
  return kept;
}

function ablateWhere(kept: Uint8Array, value: 0 | 1): Uint8Array {
  const states = new Uint8Array(kept.length);
  // Plain loops, here and below: there are millions of nodes.
  for (let i = 0; i < kept.length; i++) states[i] = kept[i] === value ? ABLATED : LIVE;
  return states;
}

function total(flags: Uint8Array): number {
  let n = 0;
  for (let i = 0; i < flags.length; i++) n += flags[i] as number;
  return n;
}
