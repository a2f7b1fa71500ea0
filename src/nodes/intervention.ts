/** @file What an evaluation does to each node: leave it live, ablate it, or restore it. Pure data, no tensors. */

/** A live node is computed from the (perturbed) run it is in. */
export const LIVE = 0;
/** An ablated node takes the donor's value: the mean, zero, or the resampled prompt's activation. */
export const ABLATED = 1;
/** A restored node takes its activation from the same prompt's unablated run. */
export const RESTORED = 2;

/** Whether no node is ablated or restored. Searches bytes: there are millions, and a callback for each is ten times slower. */
export function allLive(states: Uint8Array): boolean {
  return !states.includes(ABLATED) && !states.includes(RESTORED);
}

/** What happens at one site: to its SAE's nodes, or, where circuits do without SAEs, to slices of the site itself. */
export interface SiteIntervention {
  /** {@link LIVE}, {@link ABLATED} or {@link RESTORED} for each feature node, `[T, F]`. */
  readonly features: Uint8Array;
  /** The same for each error node, `[T]`. */
  readonly errors: Uint8Array;
  /** The same for each slice, `[T, S]`: the whole site (S = 1), its heads or its neurons. Empty where an SAE sits, as the others are without. */
  readonly slices: Uint8Array;
  /** The same for the linear part of each error, `[T]`; absent where no part is named. A node and its part are never both changed. */
  readonly linear?: Uint8Array;
  /** The same for what is left of each error, `[T]`; present where `linear` is. */
  readonly nonlinear?: Uint8Array;
}

/** The arrays of a site's states. */
export function stateArrays({ features, errors, slices, linear, nonlinear }: SiteIntervention): Uint8Array[] {
  return [
    features,
    errors,
    slices,
    ...(linear === undefined ? [] : [linear]),
    ...(nonlinear === undefined ? [] : [nonlinear]),
  ];
}

/** What happens everywhere, keyed by site hook. A site that is not listed is left alone. */
export type Intervention = ReadonlyMap<string, SiteIntervention>;

/** What ablated nodes are set to. */
export const ABLATIONS = ["mean", "zero", "resample"] as const;
/** What the ablated nodes of an evaluation are set to. */
export type Ablation = (typeof ABLATIONS)[number];

/** Where an ablation takes the values of ablated nodes from: mean activations, other prompts' runs, or nowhere, as they are 0. */
export const ABLATION_SOURCES: Readonly<Record<Ablation, "means" | "donors" | "nowhere">> = {
  mean: "means",
  zero: "nowhere",
  resample: "donors",
};
