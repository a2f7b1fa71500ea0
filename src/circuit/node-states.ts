/** @file Building blocks for interventions: one state per feature and error node at every SAE site. */
import { must } from "../base/assert.js";
import { ABLATED, LIVE, type Intervention, type SiteIntervention } from "./intervention.js";
import { siteHook, type SiteAt } from "./site.js";

/** An SAE site and its number of features. A plan's SAE sites are such values. */
export interface SaeNodes extends SiteAt {
  readonly dSae: number;
}

/** Numbers of nodes in one unit: (site, position, feature), and (site, position) for errors. */
export interface NodeCounts {
  readonly nFeatures: number;
  readonly nErrorsResid: number;
  /** Errors of mlp_out and attn_z. */
  readonly nErrorsOther: number;
}

/** The same numbers while they are being counted. */
export interface RunningCounts {
  nFeatures: number;
  nErrorsResid: number;
  nErrorsOther: number;
}

/** Counts that start at zero. */
export function zeroCounts(): RunningCounts {
  return { nFeatures: 0, nErrorsResid: 0, nErrorsOther: 0 };
}

/** Adds `n` error nodes of the site to the right counter. */
export function countErrors(counts: RunningCounts, { site }: SiteAt, n: number): void {
  if (site === "resid_post") counts.nErrorsResid += n;
  else counts.nErrorsOther += n;
}

/** Every node of one site in one state. */
export function uniformSite({ dSae }: SaeNodes, positions: number, state: number): SiteIntervention {
  return {
    features: new Uint8Array(positions * dSae).fill(state),
    errors: new Uint8Array(positions).fill(state),
  };
}

/** Whether an intervention changes nothing at the site. */
export function isLive({ features, errors }: SiteIntervention): boolean {
  return features.every((state) => state === LIVE) && errors.every((state) => state === LIVE);
}

/** Builds an intervention site by site; sites that stay fully live are left out. */
export function interventionOf(
  sites: readonly SaeNodes[],
  build: (at: SaeNodes) => SiteIntervention | undefined,
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
export function emptyIntervention(sites: readonly SaeNodes[], positions: number, exemptLayers = 0): Intervention {
  return interventionOf(sites, (at) => (at.layer < exemptLayers ? undefined : uniformSite(at, positions, ABLATED)));
}

/** How many nodes of an intervention are in the given state. */
export function countNodes(intervention: Intervention, state: number): number {
  let n = 0;
  for (const { features, errors } of intervention.values()) {
    for (const one of features) if (one === state) n += 1;
    for (const one of errors) if (one === state) n += 1;
  }
  return n;
}

/** The site's array in `scores`, which must cover the positions asked for. */
export function scoresAt(
  scores: ReadonlyMap<string, ArrayLike<number>>,
  at: SiteAt,
  atLeast: number,
): ArrayLike<number> {
  const array = must(scores.get(siteHook(at)), `the scores of ${siteHook(at)}`);
  return must(array.length >= atLeast ? array : undefined, `a score for each node of ${siteHook(at)}`);
}
