/** @file Building blocks for interventions: one state per node at every site that circuits are made of. */
import { must } from "../base/assert.js";
import { ABLATED, allLive, type Intervention, type SiteIntervention } from "./intervention.js";
import { siteHook, type SiteAt } from "./site.js";

/** An SAE site and its number of features. A plan's SAE sites are such values. */
export interface SaeNodes extends SiteAt {
  readonly dSae: number;
}

/** A site without an SAE: one node a position, or one for each head. */
export interface SliceNodes extends SiteAt {
  readonly kind: "site" | "head";
  /** Equal parts of the activation's width: 1, or the number of heads. */
  readonly slices: number;
}

/** A site that circuits are made of. */
export type CircuitSite = SaeNodes | SliceNodes;

/** Numbers of nodes in one unit: (site, position, feature or head), and (site, position) for errors and whole sites. */
export interface NodeCounts {
  readonly nFeatures: number;
  readonly nErrorsResid: number;
  /** Errors of mlp_out and attn_z. */
  readonly nErrorsOther: number;
  readonly nSites: number;
  readonly nHeads: number;
}

/** The same numbers while they are being counted. */
type RunningCounts = { -readonly [Count in keyof NodeCounts]: NodeCounts[Count] };

/** Counts that start at zero. */
export function zeroCounts(): RunningCounts {
  return { nFeatures: 0, nErrorsResid: 0, nErrorsOther: 0, nSites: 0, nHeads: 0 };
}

/** Adds `sizeOf` each of a site's arrays to the counter of the array's nodes. */
export function addCounts(
  counts: RunningCounts,
  at: CircuitSite,
  { features, errors, slices }: SiteIntervention,
  sizeOf: (states: Uint8Array) => number,
): void {
  counts.nFeatures += sizeOf(features);
  counts[at.site === "resid_post" ? "nErrorsResid" : "nErrorsOther"] += sizeOf(errors);
  counts["kind" in at && at.kind === "head" ? "nHeads" : "nSites"] += sizeOf(slices);
}

/** Every node of one site in one state. */
export function uniformSite(at: CircuitSite, positions: number, state: number): SiteIntervention {
  const [dSae, errors, slices] = "dSae" in at ? [at.dSae, 1, 0] : [0, 0, at.slices];
  return {
    features: new Uint8Array(positions * dSae).fill(state),
    errors: new Uint8Array(positions * errors).fill(state),
    slices: new Uint8Array(positions * slices).fill(state),
  };
}

/** Whether an intervention changes nothing at the site. */
function isLive({ features, errors, slices }: SiteIntervention): boolean {
  return [features, errors, slices].every(allLive);
}

/** Builds an intervention site by site; sites that stay fully live are left out. */
export function interventionOf(
  sites: readonly CircuitSite[],
  build: (at: CircuitSite) => SiteIntervention | undefined,
): Intervention {
  const intervention = new Map<string, SiteIntervention>();
  for (const at of sites) {
    const built = build(at);
    if (built !== undefined && !isLive(built)) intervention.set(siteHook(at), built);
  }
  return intervention;
}

/**
 * The empty circuit: every node of every site is ablated, except in layers below `exemptLayers`.
 *
 * Source: REFERENCE 5, `m(empty)`.
 */
export function emptyIntervention(sites: readonly CircuitSite[], positions: number, exemptLayers = 0): Intervention {
  return interventionOf(sites, (at) => (at.layer < exemptLayers ? undefined : uniformSite(at, positions, ABLATED)));
}

/** Whether any node of an intervention is in the given state. */
export function hasNodes(intervention: Intervention, state: number): boolean {
  return Array.from(intervention.values()).some(({ features, errors, slices }) =>
    [features, errors, slices].some((states) => states.includes(state)),
  );
}

/** How many nodes of an intervention are in the given state. */
export function countNodes(intervention: Intervention, state: number): number {
  let n = 0;
  for (const { features, errors, slices } of intervention.values())
    for (const states of [features, errors, slices])
      for (let i = 0; i < states.length; i++) if (states[i] === state) n += 1; // A plain loop: there are millions.
  return n;
}

/** The array of `hook` in `scores`, which must cover the positions asked for. */
export function scoresAt(
  scores: ReadonlyMap<string, ArrayLike<number>>,
  hook: string,
  atLeast: number,
): ArrayLike<number> {
  const array = must(scores.get(hook), `the scores of ${hook}`);
  return must(array.length >= atLeast ? array : undefined, `a score for each node of ${hook}`);
}
