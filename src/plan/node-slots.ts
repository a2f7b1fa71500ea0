/**
 * @file The slots of the nodes whose truth a sweep asks for: how many there are and in what order, fixed before anything runs.
 *
 * Slots come by kind (error, site, head, feature, neuron, parts of errors), then layer, site, position (all positions at once last), then
 * head, neuron or feature; sets come after what the short forms name, without what was named before: plain ones, then others. A slot whose
 * node is known now is static; one that waits for scores is chosen by the `nodes` stage, and stays empty where there are too few candidates.
 */
import { must } from "../base/assert.js";
import { KINDS, type NodeKind, SLOT_KINDS } from "../nodes/kinds.js";
import {
  GLOBAL_POSITION,
  type Node,
  nodeAt,
  nodeKey,
  type NodeOf,
  type NodePlace,
  type NodePosition,
  parseNodeHook,
} from "../nodes/node.js";
import { type Site, type SiteAt, SITES, sitesOfLayers } from "../nodes/site.js";
import {
  type FoundSet,
  foundSets,
  goesByScores,
  kindsAtPlaces,
  measuredContext,
  mostOfSet,
  nodesIn,
} from "./measured-sets.js";
import { mostOfKind } from "./most-nodes.js";
import { circuitKinds } from "./circuit-sites.js";
import { type NodeListSpec, nodeListOf, type ShortForm } from "./node-list.js";
import { patchPositions, sitesOfSet, sizesAt } from "./node-places.js";
import { isPlain, listedSets, type NodeSet, rankedBy } from "./node-sets.js";
import type { ModelShape } from "./plan.js";
import { resolveSet, type SetContext } from "./resolve-set.js";
import { scorelessContext, type SetInputs } from "./set-context.js";
import { kindsIn, type SetExpression, setsOf, termsOf } from "./set-expression.js";
import { placesOfSet, type SetPlaces } from "./set-places.js";

/** A run of slots of one kind. */
export type SlotGroup =
  /** Nodes known now. */
  | { readonly kind: NodeKind; readonly nodes: readonly Node[]; readonly mustDiffer: false }
  /** A node is dropped where the donor changes it in no prompt. */
  | { readonly kind: "feature"; readonly nodes: readonly NodeOf<"feature">[]; readonly mustDiffer: true }
  /** `top` and `random` nodes of one site, over the given positions (or over global nodes). */
  | { readonly kind: NodeKind; readonly choose: NodeDraw }
  /** Nodes of one kind of a set that goes by scores. */
  | { readonly kind: NodeKind; readonly find: NodeSearch };

/** A set that goes by scores, and what is known of its nodes of one kind before. */
export interface NodeSearch extends FoundSet {
  /** How many there are at most. */
  readonly most: number;
  readonly places: SetPlaces;
}

/** What `top` and `random` choose from. */
export interface NodeDraw {
  readonly at: SiteAt;
  readonly top: number;
  readonly random: number;
  /** Name of the scores to rank by. */
  readonly by: string;
  /** Seed of the random ones; left out, the sweep's. */
  readonly seed?: number | undefined;
  /** Whether the random ones are drawn by bands of the score's magnitude, or all alike. */
  readonly strata: "magnitude" | "none";
  /** Positions of the frame; null for nodes patched at all positions at once. */
  readonly positions: readonly number[] | null;
}

/** What slot planning needs of a plan. */
export type SlotInputs = SetInputs;

/** Number of slots in a group. */
export function slotCount(group: SlotGroup): number {
  if ("nodes" in group) return group.nodes.length;
  return "choose" in group ? group.choose.top + group.choose.random : group.find.most;
}

/** The fields of a sweep's `truth` that name nodes of one kind, each by its short form; kinds without one are named by sets alone. */
export const TRUTH_FIELDS: Readonly<Record<NodeKind, ShortForm | null>> = {
  feature: "features",
  error: "errors",
  error_linear: null,
  error_nonlinear: null,
  site: "whole_sites",
  head: "heads",
  neuron: null,
};

/** Whether the truth names nodes of a kind, or goes by them. */
export function namesKind(sweep: SlotInputs["sweep"], kind: NodeKind): boolean {
  const truth = nodeListOf(sweep);
  if (truth === undefined) return false;
  const field = TRUTH_FIELDS[kind];
  return (field !== null && truth[field] !== undefined) || kindsOfSets(sweep, truth).includes(kind);
}

/** Kinds of the terms of all sets; of a term that names none they are those that circuits may be made of. */
function kindsOfSets(sweep: SlotInputs["sweep"], { nodes = [] }: NodeListSpec): NodeKind[] {
  return termsOf(nodes, setsOf(sweep)).flatMap(({ kind, set }): readonly NodeKind[] =>
    kind === undefined && set === undefined ? circuitKinds(sweep) : kindsIn(kind),
  );
}

/** All groups in slot order. */
export function slotGroups(inputs: SlotInputs): SlotGroup[] {
  const truth = must(nodeListOf(inputs.sweep), "truth");
  const ofTruth = { ...inputs, truth };
  const positions = patchPositions(truth.positions, inputs.lengths);
  const found = foundGroups(truth.nodes, inputs);
  return SLOT_KINDS.flatMap((kind) => {
    const groups = SLOTS[kind](ofTruth, positions);
    const plain = plainSets(truth, kind).flatMap((set) => groupsOfSet(inputs, set, kind));
    const ofSets = [...plain, ...found.filter((group) => group.kind === kind)];
    return ofSets.length === 0 ? groups : withoutRepeats([...groups, ...ofSets]);
  });
}

function plainSets({ nodes }: NodeListSpec, kind: NodeKind): NodeSet[] {
  return listedSets(nodes)
    .map(({ set }) => set)
    .filter(isPlain)
    .filter((set) => set.kind.includes(kind));
}

/** The slots of sets that are not plain. */
export function foundGroups(nodes: readonly SetExpression[] | undefined, inputs: SlotInputs): SlotGroup[] {
  const context = scorelessContext(inputs);
  return foundSets(nodes, inputs).flatMap((found) => {
    const own = measuredContext(context, found.isGlobal);
    return goesByScores(found.set, own.sets) ? searchesOf(found, own) : knownOf(found, own);
  });
}

function searchesOf(found: FoundSet, context: SetContext): SlotGroup[] {
  const [places, most] = [placesOfSet(found.set, context), mostOfSet(found.set, context)];
  return kindsAtPlaces(places).map((kind) => {
    const own = [...places].filter(([hook]) => must(parseNodeHook(hook), hook).kind === kind);
    return { kind, find: { ...found, most: mostOfKind(most, kind), places: new Map(own) } };
  });
}

/** Nodes of a set that goes by no score. */
function knownOf({ set }: FoundSet, context: SetContext): SlotGroup[] {
  const { nodes } = resolveSet(set, context);
  return kindsAtPlaces(nodes).map((kind) =>
    listed(
      kind,
      nodesIn(nodes, kind, context).map(({ node }) => node),
    ),
  );
}

/** Nodes that sets name one by one; features are left out where the donor never changes them. */
function listed(kind: NodeKind, nodes: readonly Node[]): SlotGroup {
  return kind === "feature" ? { kind, nodes: nodes as NodeOf<"feature">[], mustDiffer: true } : known(kind, nodes);
}

/** Drops nodes that an earlier group names. */
function withoutRepeats(groups: readonly SlotGroup[]): SlotGroup[] {
  const named = new Set<string>();
  const isNew = (node: Node): boolean => named.size !== named.add(nodeKey(node)).size;
  return groups.map((group) => {
    if (!("nodes" in group)) return group;
    return group.mustDiffer
      ? { ...group, nodes: group.nodes.filter(isNew) }
      : { ...group, nodes: group.nodes.filter(isNew) };
  });
}

/** The slots of a set's nodes of one kind. */
function groupsOfSet(inputs: SlotInputs, set: NodeSet, kind: NodeKind): SlotGroup[] {
  const sites = sitesOfSet(set, kind, inputs);
  const positions = patchPositions(set.at, inputs.lengths);
  const by = rankedBy(set);
  if (by !== undefined) {
    const { top = 0, sample } = set;
    const draw = { top, random: sample?.n ?? 0, by, seed: sample?.seed, strata: sample?.strata ?? "magnitude" };
    return sites.flatMap((at) =>
      framesOf(positions).map((frame) => ({ kind, choose: { ...draw, at, positions: frame } })),
    );
  }
  const nodes = sites.flatMap((at) => {
    const indexes = Array.from({ length: KINDS[kind].perPosition(sizesAt(inputs, at)) }, (_, i) => i);
    return placesOf([at], positions).flatMap((place) => indexes.map((index) => nodeAt(kind, place, index)));
  });
  return [listed(kind, nodes)];
}

/** Positions that nodes are chosen over together: those one by one, and null for all at once. */
function framesOf(positions: Positions): (readonly number[] | null)[] {
  const local = positions.filter((position) => position !== GLOBAL_POSITION);
  return [...(local.length > 0 ? [local] : []), ...(positions.includes(GLOBAL_POSITION) ? [null] : [])];
}

type Positions = readonly NodePosition[];

/** A plan with its truth. */
interface TruthInputs extends SlotInputs {
  readonly truth: NodeListSpec;
}

/** The slots of each kind that the truth names by its short form. */
const SLOTS: Readonly<Record<NodeKind, (inputs: TruthInputs, positions: Positions) => SlotGroup[]>> = {
  feature: featureGroups,
  error: ({ truth: { errors }, saes, shape }, positions) => {
    if (errors === undefined) return [];
    const layers = layersOf(errors.layers, shape);
    const at = saes.filter(({ site, layer }) => errors.sites.includes(site) && layers.has(layer));
    return [
      known(
        "error",
        placesOf(at, positions).map((place) => ({ ...place, kind: "error" })),
      ),
    ];
  },
  error_linear: () => [],
  error_nonlinear: () => [],
  site: ({ truth: { whole_sites: sites }, shape }, positions) => {
    if (sites === undefined) return [];
    const at = sitesOf(sites.sites, layersOf(sites.layers, shape), shape.nLayers);
    return [
      known(
        "site",
        placesOf(at, positions).map((place) => ({ ...place, kind: "site" })),
      ),
    ];
  },
  neuron: () => [],
  head: ({ truth: { heads }, shape }, positions) => {
    if (heads === undefined) return [];
    const at = sitesOf(KINDS.head.sites, layersOf(heads.layers, shape), shape.nLayers);
    const all = Array.from({ length: shape.nHeads }, (_, head) => head);
    return [
      known(
        "head",
        placesOf(at, positions).flatMap((place) => all.map((head) => ({ ...place, kind: "head", head }))),
      ),
    ];
  },
};

function featureGroups({ truth: { features }, saes }: TruthInputs, positions: Positions): SlotGroup[] {
  if (features === undefined) return [];
  const withFeature = (at: SiteAt, list: readonly number[]): NodeOf<"feature">[] =>
    placesOf([at], positions).flatMap((place) => list.map((feature) => ({ ...place, kind: "feature", feature })));
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
    return [known("feature", listed)];
  }
  const { top, random, by } = features;
  return saes.flatMap(({ site, layer }) => {
    const choose = { at: { site, layer }, top, random, by, strata: "magnitude" as const };
    return framesOf(positions).map((frame) => ({ kind: "feature" as const, choose: { ...choose, positions: frame } }));
  });
}

function known(kind: NodeKind, nodes: readonly Node[]): SlotGroup {
  return { kind, nodes, mustDiffer: false };
}

function placesOf(sites: readonly SiteAt[], positions: Positions): NodePlace[] {
  return sites.flatMap(({ site, layer }) => positions.map((position) => ({ site, layer, position })));
}

function layersOf(layers: "all" | readonly number[], { nLayers }: ModelShape): ReadonlySet<number> {
  return new Set(layers === "all" ? Array.from({ length: nLayers }, (_, i) => i) : layers);
}

function sitesOf(sites: readonly Site[], layers: ReadonlySet<number>, nLayers: number): SiteAt[] {
  const chosen = SITES.filter((site) => sites.includes(site));
  return sitesOfLayers(chosen, nLayers).filter(({ layer }) => layers.has(layer));
}
