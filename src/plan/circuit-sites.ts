/** @file The sites and kinds of node that circuits of a sweep are made of: sets of nodes have these unless they name others. */
import { KINDS, NODE_KINDS, type NodeKind, type SliceKind } from "../nodes/kinds.js";
import { type CircuitSite, kindsAt, WHOLE_SAE_KINDS } from "../nodes/node-states.js";
import { type Site, SITES, sitesOfLayers } from "../nodes/site.js";
import type { ModelShape, SaeSite } from "./plan.js";

/** What circuits without SAEs may be made of: whole sites, heads and MLPs, or neurons. */
export const CIRCUIT_NODES = ["sites", "heads", "neurons"] as const;

/** What circuits without SAEs are made of in every layer. A whole resid_post is no node: it holds everything that was computed before it. */
const SLICES: Readonly<Record<(typeof CIRCUIT_NODES)[number], Readonly<Partial<Record<Site, SliceKind>>>>> = {
  sites: { attn_z: "site", mlp_out: "site" },
  heads: { attn_z: "head", mlp_out: "site" },
  neurons: { mlp_post: "neuron" },
};

/** What decides them. */
interface SitesOf {
  readonly shape: ModelShape;
  readonly saes: readonly SaeSite[];
  readonly sweep: { readonly [field: string]: unknown };
}

/** What a sweep makes its circuits of, where it has no SAEs. */
export function circuitNodesOf({ circuits }: SitesOf["sweep"]): (typeof CIRCUIT_NODES)[number] {
  const given = circuits as { readonly nodes?: (typeof CIRCUIT_NODES)[number] | undefined } | undefined;
  return given?.nodes ?? "sites";
}

/** The sites that circuits are made of: those of the SAEs, or, without SAEs, those of {@link SLICES}. */
export function circuitSites({ saes, shape, sweep }: SitesOf): readonly CircuitSite[] {
  if (saes.length > 0) return saes;
  const kinds = SLICES[circuitNodesOf(sweep)];
  return sitesOfLayers(SITES, shape.nLayers).flatMap((at) => {
    const kind = kinds[at.site];
    return kind === undefined ? [] : [{ ...at, kind, slices: KINDS[kind].perPosition({ ...shape, dSae: 0 }) }];
  });
}

/** Kinds that circuits of a sweep may be made of, whatever sites its SAEs have. */
export function circuitKinds(sweep: SitesOf["sweep"]): readonly NodeKind[] {
  return sweep["saes"] === "none" ? Object.values(SLICES[circuitNodesOf(sweep)]) : WHOLE_SAE_KINDS;
}

/** Kinds of the nodes that circuits of a plan are made of. */
export function setKinds(plan: SitesOf): NodeKind[] {
  const kinds = new Set(circuitSites(plan).flatMap(kindsAt));
  return NODE_KINDS.filter((kind) => kinds.has(kind));
}
