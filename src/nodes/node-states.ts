/** @file Building blocks for interventions: one state per node at every site that circuits are made of. */
import { must } from "../base/assert.js";
import { ABLATED, allLive, type Intervention, type SiteIntervention, stateArrays } from "./intervention.js";
import { isPartKind, isSaeKind, KINDS, NODE_KINDS, type NodeCounts, type NodeKind, type SliceKind } from "./kinds.js";
import { nodeHook } from "./node.js";
import { siteHook, type SaeSiteAt, type SiteAt } from "./site.js";

/** An SAE site and its number of features. A plan's SAE sites are such values. */
export interface SaeNodes extends SaeSiteAt {
  readonly dSae: number;
}

/** A site without an SAE: one node a position, or one for each head or neuron. */
export interface SliceNodes extends SiteAt {
  readonly kind: SliceKind;
  /** Equal parts of the activation's width: 1, or the number of heads or neurons. */
  readonly slices: number;
}

/** A site that circuits are made of. */
export type CircuitSite = SaeNodes | SliceNodes;

/** Kinds of the nodes that circuits have at a site: whole ones. */
export function kindsAt(at: CircuitSite): readonly NodeKind[] {
  return "kind" in at ? [at.kind] : WHOLE_SAE_KINDS;
}

/** Kinds of the nodes that circuits have where an SAE sits. */
export const WHOLE_SAE_KINDS = NODE_KINDS.filter((kind) => isSaeKind(kind) && !isPartKind(kind));

/** How many nodes of a kind circuits have at each position of a site. */
export function nodesPerPosition(at: CircuitSite, kind: NodeKind): number {
  return "kind" in at ? at.slices : KINDS[kind].perPosition({ dSae: at.dSae, nHeads: 0, dMlp: 0 });
}

/** Name of the scores of a site's nodes of a kind among {@link NodeScores} of the kind's states. */
export function scoresKey(at: SiteAt, kind: NodeKind): string {
  return KINDS[kind].onSae ? siteHook(at) : nodeHook(at, kind);
}

/** The same numbers while they are being counted. */
type RunningCounts = { -readonly [Count in keyof NodeCounts]: NodeCounts[Count] };

/** Counts that start at zero. */
export function zeroCounts(): RunningCounts {
  return { nFeatures: 0, nErrorsResid: 0, nErrorsOther: 0, nSites: 0, nHeads: 0, nNeurons: 0 };
}

/** Adds `sizeOf` each of a site's arrays to the counter of the array's nodes. */
export function addCounts(
  counts: RunningCounts,
  at: CircuitSite,
  intervention: SiteIntervention,
  sizeOf: (states: Uint8Array) => number,
): void {
  for (const kind of kindsAt(at)) {
    const { counter, states } = KINDS[kind];
    counts[counter(at.site)] += sizeOf(must(intervention[states], states));
  }
}

/** Every node of one site in one state. */
export function uniformSite(at: CircuitSite, positions: number, state: number): SiteIntervention {
  const site: { -readonly [States in keyof SiteIntervention]: SiteIntervention[States] } = {
    features: new Uint8Array(0),
    errors: new Uint8Array(0),
    slices: new Uint8Array(0),
  };
  for (const kind of kindsAt(at))
    site[KINDS[kind].states] = new Uint8Array(positions * nodesPerPosition(at, kind)).fill(state);
  return site;
}

/** Whether an intervention changes nothing at the site. */
function isLive(site: SiteIntervention): boolean {
  return stateArrays(site).every(allLive);
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
  return Array.from(intervention.values()).some((site) => stateArrays(site).some((states) => states.includes(state)));
}

/** How many nodes of an intervention are in the given state. */
export function countNodes(intervention: Intervention, state: number): number {
  let n = 0;
  for (const site of intervention.values())
    for (const states of stateArrays(site)) for (let i = 0; i < states.length; i++) if (states[i] === state) n += 1; // A plain loop: there are millions.
  return n;
}

/** The array of `hook` in `scores`, which must cover the positions asked for. */
export function scoresAt(
  scores: ReadonlyMap<string, ArrayLike<number>> | undefined,
  hook: string,
  atLeast: number,
): ArrayLike<number> {
  const array = must(scores?.get(hook), `the scores of ${hook}`);
  return must(array.length >= atLeast ? array : undefined, `a score for each node of ${hook}`);
}
