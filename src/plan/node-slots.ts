/**
 * @file The truth's node slots: how many there are and in what order, fixed before anything runs.
 *
 * Slots come by kind (error, site, head, feature), then layer, site, position (all positions at once last), then head or
 * feature. A slot whose node is known now is static; one that waits for scores is chosen by the `nodes` stage, and stays
 * empty where there are too few candidates.
 */
import { GLOBAL_POSITION, type Node } from "../nodes/node.js";
import { type NodeKind, parseNodeHook, type Site, type SiteAt, SITES } from "../nodes/site.js";
import type { ModelShape, SaeSite } from "./plan.js";
import type { TruthSpec } from "./sweep.js";

/** A run of slots at one site. */
export type SlotGroup =
  /** Nodes known now. With `mustDiffer` a node is dropped where clean and corrupted differ in no prompt. */
  | { readonly kind: NodeKind; readonly nodes: readonly Node[]; readonly mustDiffer: boolean }
  /** `top` and `random` features of one site, over the given positions (or over global nodes). */
  | { readonly kind: "feature"; readonly choose: FeatureChoice };

/** What `top` and `random` choose from. */
export interface FeatureChoice {
  readonly at: SiteAt;
  readonly top: number;
  readonly random: number;
  /** Name of the scores to rank by. */
  readonly by: string;
  /** Positions of the frame; null for nodes patched at all positions at once. */
  readonly positions: readonly number[] | null;
}

/** What slot planning needs of a plan. */
export interface SlotInputs {
  readonly truth: TruthSpec;
  readonly shape: ModelShape;
  readonly saes: readonly SaeSite[];
  /** Token counts of the kept prompts, without repeats. */
  readonly lengths: readonly number[];
}

/** Number of slots in a group. */
export function slotCount(group: SlotGroup): number {
  return "nodes" in group ? group.nodes.length : group.choose.top + group.choose.random;
}

/** All groups in slot order. */
export function slotGroups(inputs: SlotInputs): SlotGroup[] {
  const { truth, shape, saes } = inputs;
  const positions = patchPositions(truth.positions, inputs.lengths);
  const layersOf = (layers: "all" | readonly number[]): ReadonlySet<number> =>
    new Set(layers === "all" ? Array.from({ length: shape.nLayers }, (_, i) => i) : layers);
  const groups: SlotGroup[] = [];
  const { errors, whole_sites: wholeSites, heads } = truth;
  if (errors !== undefined) {
    const layers = layersOf(errors.layers);
    const at = saes.filter(({ site, layer }) => errors.sites.includes(site) && layers.has(layer));
    groups.push(
      staticGroup(
        "error",
        at.flatMap((one) => atPositions("error", one, positions)),
      ),
    );
  }
  if (wholeSites !== undefined) {
    const at = sitesOf(wholeSites.sites, layersOf(wholeSites.layers), shape.nLayers);
    groups.push(
      staticGroup(
        "site",
        at.flatMap((one) => atPositions("site", one, positions)),
      ),
    );
  }
  if (heads !== undefined) {
    const at = sitesOf(["attn_z"], layersOf(heads.layers), shape.nLayers);
    const all = Array.from({ length: shape.nHeads }, (_, head) => head);
    groups.push(
      staticGroup(
        "head",
        at.flatMap((one) =>
          atPositions("head", one, positions).flatMap((node) => all.map((head) => ({ ...node, head }))),
        ),
      ),
    );
  }
  return [...groups, ...featureGroups(inputs, positions)];
}

function featureGroups({ truth, saes }: SlotInputs, positions: readonly number[]): SlotGroup[] {
  const { features } = truth;
  if (features === undefined) return [];
  const withFeature = (at: SiteAt, list: readonly number[]): Node[] =>
    atPositions("feature", at, positions).flatMap((node) => list.map((feature) => ({ ...node, feature })));
  if (features === "all") {
    return saes.map((sae) => ({
      kind: "feature",
      mustDiffer: true,
      nodes: withFeature(
        sae,
        Array.from({ length: sae.dSae }, (_, i) => i),
      ),
    }));
  }
  if (Array.isArray(features)) {
    const listed = features.flatMap(({ hook, feature }) => {
      const at = parseNodeHook(hook);
      return at === undefined ? [] : withFeature(at, [feature]);
    });
    return [staticGroup("feature", listed)];
  }
  const { top, random, by } = features;
  const local = positions.filter((position) => position !== GLOBAL_POSITION);
  return saes.flatMap(({ site, layer }) => {
    const choose = { at: { site, layer }, top, random, by };
    const frames = [...(local.length > 0 ? [local] : []), ...(positions.includes(GLOBAL_POSITION) ? [null] : [])];
    return frames.map((frame) => ({ kind: "feature" as const, choose: { ...choose, positions: frame } }));
  });
}

/** Positions to patch, ascending, {@link GLOBAL_POSITION} last. Negative ones count from each length's end. */
function patchPositions(spec: TruthSpec["positions"], lengths: readonly number[]): number[] {
  const longest = Math.max(...lengths);
  const local = new Set<number>();
  for (const position of spec) {
    if (position === "global") continue;
    if (position === "all") for (let t = 0; t < longest; t++) local.add(t);
    else if (position >= 0) local.add(position);
    else for (const length of lengths) if (length + position >= 0) local.add(length + position);
  }
  const ascending = [...local].sort((a, b) => a - b);
  return spec.includes("global") ? [...ascending, GLOBAL_POSITION] : ascending;
}

function staticGroup(kind: NodeKind, nodes: readonly Node[]): SlotGroup {
  return { kind, nodes, mustDiffer: false };
}

function atPositions(kind: NodeKind, { site, layer }: SiteAt, positions: readonly number[]): Node[] {
  return positions.map((position) => ({ kind, site, layer, position, feature: -1, head: -1 }));
}

function sitesOf(sites: readonly Site[], layers: ReadonlySet<number>, nLayers: number): SiteAt[] {
  const chosen = SITES.filter((site) => sites.includes(site));
  return Array.from({ length: nLayers }, (_, layer) => layer)
    .filter((layer) => layers.has(layer))
    .flatMap((layer) => chosen.map((site) => ({ site, layer })));
}
