/** @file Faults of the sets of nodes that a sweep's truth lists. */
import { must } from "../base/assert.js";
import { isPartKind, isSaeKind, KINDS, type NodeKind } from "../nodes/kinds.js";
import { GLOBAL_POSITION, nodeHook, type NodePosition, parseNodeHook } from "../nodes/node.js";
import type { SiteAt } from "../nodes/site.js";
import { checkChance, drawnPlaces } from "./check-chance.js";
import { checkPosition, hasSaes, NO_SAES, unknownScores } from "./check-nodes.js";
import { checkSet, standsIn } from "./check-set.js";
import { fitOf, NO_FIT } from "./fit-spec.js";
import { type FoundSet, foundSets, goesByScores, measuredContext } from "./measured-sets.js";
import { MOST_SLOTS } from "./most-nodes.js";
import type { NodeListSpec } from "./node-list.js";
import { layersOfSet, patchPositions, sitesOfSet } from "./node-places.js";
import { isPlain, listedSets, type MeasuredSet, type NodeSet, rankedBy } from "./node-sets.js";
import { foundGroups, slotCount } from "./node-slots.js";
import type { PlanContext } from "./plan-part.js";
import { scorelessContext } from "./set-context.js";
import { isScored, kindsIn, setsOf } from "./set-expression.js";
import type { SweepSource } from "../sweep/read-sweep.js";

/**
 * Checks the sets of `truth.nodes`.
 * @throws PatchbayError `bad_input` naming file, line and field of the first fault.
 */
export function checkSets(source: SweepSource, truth: NodeListSpec, context: PlanContext): void {
  const sampled = new Set(sampledInShort(truth, context));
  const refuseSecond = (places: readonly string[], fault: Fault): void => {
    const second = places.find((place) => sampled.size === sampled.add(place).size);
    if (second !== undefined) throw fault(["sample"], secondSample(second));
  };
  for (const { set, path } of listedSets(truth.nodes)) {
    const named = typeof set === "string";
    const fault: Fault = (field, message) =>
      source.fault(["truth", "nodes", ...path, ...(named ? [] : field)], message);
    if (!isPlain(set)) {
      checkFound(set, { source, context, fault });
      for (const place of foundSets([set], { ...context, sweep: source.sweep }))
        refuseSecond(sampledIn(place, { source, context }), fault);
      continue;
    }
    checkRank(source, set, fault);
    checkPlaces(set, context, fault);
    for (const kind of set.kind) {
      if (isSaeKind(kind) && !hasSaes(source, context)) throw fault(["kind"], withoutSaes(kind));
      if (isPartKind(kind) && fitOf(source.sweep) === undefined) throw fault(["kind"], `${kind} ${NO_FIT}`);
      if (sitesOfSet(set, kind, context).length === 0) throw fault([], emptySet(kind));
      refuseSecond(sampledPlaces(set, kind, context), fault);
    }
  }
}

function withoutSaes(kind: NodeKind): string {
  return `patching of ${kind} nodes ${NO_SAES}, or name another kind`;
}

interface FoundPlace {
  readonly source: SweepSource;
  readonly context: PlanContext;
  readonly fault: Fault;
}

/** Checks a set that is not plain. */
function checkFound(set: MeasuredSet, { source, context, fault }: FoundPlace): void {
  const { sweep } = source;
  const sets = setsOf(sweep);
  if (typeof set !== "string") {
    if (set.set === undefined && set.kind === undefined)
      throw fault([], "names no kind of node; give `kind`, or a `set` to start from");
    if (set.by !== undefined && !isScored(set)) throw fault(["by"], UNRANKED);
    const unfit = hasSaes(source, context) ? undefined : kindsIn(set.kind).find(isSaeKind);
    if (unfit !== undefined) throw fault(["kind"], withoutSaes(unfit));
  }
  if (standsIn(set, sets, [])) throw fault([], "is made of itself; take it out of what it is made of");
  const inputs = { ...context, sweep };
  const worlds = [false, true].map((isGlobal) => measuredContext(scorelessContext(inputs), isGlobal));
  checkSet(set, { source, context, within: fault, worlds });
  checkChance(set, sets, fault);
  if (!goesByScores(set, sets)) return;
  const most = foundGroups([set], inputs).reduce((sum, group) => sum + slotCount(group), 0);
  if (most > MOST_SLOTS)
    throw fault(
      [],
      `may come to ${String(most)} nodes, which is known only after the scores; at most ${String(MOST_SLOTS)} are planned for: narrow its places, or give \`top\` (with \`per: all\` of all sites together)`,
    );
}

type Fault = (field: readonly (string | number)[], message: string) => Error;

const UNRANKED = "ranks nodes, and this set takes all of them; give `top` or `sample` too, or leave `by` out";

function checkRank(source: SweepSource, set: NodeSet, fault: Fault): void {
  const by = rankedBy(set);
  if (by === undefined && set.by !== undefined) throw fault(["by"], UNRANKED);
  const unknown = by === undefined ? undefined : unknownScores(source, by);
  if (unknown !== undefined) throw fault(set.by === undefined ? [] : ["by"], unknown);
}

function checkPlaces(set: NodeSet, context: PlanContext, fault: Fault): void {
  const { nLayers } = context.shape;
  const layers = layersOfSet(set, nLayers);
  const beyond = layers.find((layer) => layer < 0 || layer >= nLayers);
  if (beyond !== undefined)
    throw fault(["layers"], `the model has layers 0 to ${String(nLayers - 1)}, got ${String(beyond)}`);
  if (layers.length === 0) throw fault(["layers"], "names no layer: a range goes from the lower to the higher one");
  for (const position of set.at)
    if (typeof position === "number") checkPosition(position, context, (message) => fault(["at"], message));
}

/** The places that the short form of features draws a sample of. */
function sampledInShort({ features, positions }: NodeListSpec, { saes, lengths }: PlanContext): string[] {
  if (features === undefined || features === "all" || Array.isArray(features) || features.random === 0) return [];
  return saes.flatMap((at) => patchPositions(positions, lengths).map((position) => placeName(at, "feature", position)));
}

function placeName(at: SiteAt, kind: NodeKind, position: NodePosition): string {
  return `${nodeHook(at, kind)}, position ${position}`;
}

/** The places that a set draws a sample of. */
function sampledPlaces(set: NodeSet, kind: NodeKind, context: PlanContext): string[] {
  if (set.sample === undefined) return [];
  const positions = patchPositions(set.at, context.lengths);
  return sitesOfSet(set, kind, context).flatMap((at) => positions.map((position) => placeName(at, kind, position)));
}

/** The places that a set draws from, in itself or in what it names. */
function sampledIn({ set, isGlobal }: FoundSet, { source, context }: Omit<FoundPlace, "fault">): string[] {
  const world = measuredContext(scorelessContext({ ...context, sweep: source.sweep }), isGlobal);
  return drawnPlaces(set, world).flatMap((places) =>
    [...places].flatMap(([hook, positions]) => {
      const at = must(parseNodeHook(hook), hook);
      return [...positions].map((position) => placeName(at, at.kind, isGlobal ? GLOBAL_POSITION : position));
    }),
  );
}

function secondSample(place: string): string {
  const kind = must(parseNodeHook(place.replace(/,.*/, "")), place).kind;
  return `is a second sample of ${kind} nodes at ${place}: no weight would fit both; draw one, or name places that differ`;
}

function emptySet(kind: NodeKind): string {
  const { plural, sites, onSae } = KINDS[kind];
  const where = `there are ${plural} at ${sites.join(", ")}${onSae ? ", where an SAE of the sweep sits" : ""}`;
  return `has no ${kind} node at these sites and layers: ${where}`;
}
