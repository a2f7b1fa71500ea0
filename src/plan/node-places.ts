/** @file Where a model has nodes: layers, sites and positions that a sweep names, and how many nodes there are at each. */
import { must } from "../base/assert.js";
import { KINDS, type NodeKind, type SiteSizes } from "../nodes/kinds.js";
import { comparePositions, GLOBAL_POSITION, type NodePosition, parseNodeHook } from "../nodes/node.js";
import { type Site, type SiteAt, siteHook, sitesOfLayers } from "../nodes/site.js";
import type { TokenCounts } from "./held-out.js";
import type { ModelShape, SaeSite } from "./plan.js";
import type { LayerPart, PositionPart } from "./set-expression.js";

/** The sizes of a model and its SAEs. */
interface ModelSizes {
  readonly shape: ModelShape;
  readonly saes: readonly SaeSite[];
}

/** Layers that are named, ascending, without repeats; those that the model lacks are left in. Negative ones count from the last. */
export function layersOfSet({ layers }: { readonly layers: readonly LayerPart[] }, nLayers: number): number[] {
  const fromStart = (one: number): number => (one < 0 ? one + nLayers : one);
  const each = layers.flatMap((part) => {
    if (part === "all") return Array.from({ length: nLayers }, (_, i) => i);
    if (typeof part === "number") return [fromStart(part)];
    const [first = 0, last = 0] = part.split("..").map((text) => fromStart(Number(text)));
    return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i);
  });
  return [...new Set(each)].sort((a, b) => a - b);
}

/** The sites of a set that have nodes of a kind, in forward order. */
export function sitesOfSet(
  set: { readonly layers: readonly LayerPart[]; readonly site?: readonly Site[] | undefined },
  kind: NodeKind,
  { shape: { nLayers }, saes }: { readonly shape: Pick<ModelShape, "nLayers">; readonly saes: readonly SaeSite[] },
): SiteAt[] {
  const sites = KINDS[kind].sites.filter((site) => set.site === undefined || set.site.includes(site));
  const layers = new Set(layersOfSet(set, nLayers));
  const withSae = new Set(saes.map(siteHook));
  return sitesOfLayers(sites, nLayers).filter(
    (at) => layers.has(at.layer) && (!KINDS[kind].onSae || withSae.has(siteHook(at))),
  );
}

/** Positions to patch, in order. Those from the end stay so where prompts have several lengths: they are elsewhere in each. */
export function patchPositions(spec: readonly PositionPart[], { longest, areMixed }: TokenCounts): NodePosition[] {
  const positions = spec.flatMap((position): NodePosition[] => {
    if (position === "all") return Array.from({ length: longest }, (_, t) => t);
    return [position === "global" ? GLOBAL_POSITION : position < 0 && !areMixed ? longest + position : position];
  });
  return [...new Set(positions)].sort(comparePositions);
}

/** Sizes that decide how many nodes a site has. */
export function sizesAt({ saes, shape }: ModelSizes, at: SiteAt): SiteSizes {
  const sae = saes.find(({ site, layer }) => site === at.site && layer === at.layer);
  return { dSae: sae?.dSae ?? 0, nHeads: shape.nHeads, dMlp: shape.dMlp };
}

/** How many nodes a node hook has at each position. */
export function nodesPerPlace(sizes: ModelSizes): (hook: string) => number {
  return (hook) => {
    const at = must(parseNodeHook(hook), hook);
    return KINDS[at.kind].perPosition(sizesAt(sizes, at));
  };
}
