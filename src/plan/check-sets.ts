/** @file Faults of the sets of nodes that a sweep's truth lists. */
import { isPartKind, isSaeKind, KINDS, type NodeKind } from "../nodes/kinds.js";
import { nodeHook, type NodePosition } from "../nodes/node.js";
import type { SiteAt } from "../nodes/site.js";
import { checkPosition, hasSaes, NO_SAES, unknownScores } from "./check-nodes.js";
import { fitOf, NO_FIT } from "./fit-spec.js";
import { layersOfSet, type NodeSet, rankedBy, sitesOfSet } from "./node-sets.js";
import type { NodeListSpec } from "./node-list.js";
import { patchPositions } from "./node-slots.js";
import type { PlanContext } from "./plan-part.js";
import type { SweepSource } from "../sweep/read-sweep.js";

/**
 * Checks the sets of `truth.nodes`.
 * @throws PatchbayError `bad_input` naming file, line and field of the first fault.
 */
export function checkSets(source: SweepSource, truth: NodeListSpec, context: PlanContext): void {
  const sampled = new Set(sampledInShort(truth, context));
  (truth.nodes ?? []).forEach((set, i) => {
    const fault = (field: readonly (string | number)[], message: string): Error =>
      source.fault(["truth", "nodes", i, ...field], message);
    checkRank(source, set, fault);
    checkPlaces(set, context, fault);
    for (const kind of set.kind) {
      if (isSaeKind(kind) && !hasSaes(source, context))
        throw fault(["kind"], `patching of ${kind} nodes ${NO_SAES}, or name another kind`);
      if (isPartKind(kind) && fitOf(source.sweep) === undefined) throw fault(["kind"], `${kind} ${NO_FIT}`);
      if (sitesOfSet(set, kind, context).length === 0) throw fault([], emptySet(kind));
      for (const place of sampledPlaces(set, kind, context)) {
        if (sampled.size === sampled.add(place).size) throw fault(["sample"], secondSample(kind, place));
      }
    }
  });
}

type Fault = (field: readonly (string | number)[], message: string) => Error;

function checkRank(source: SweepSource, set: NodeSet, fault: Fault): void {
  const by = rankedBy(set);
  if (by === undefined && set.by !== undefined)
    throw fault(["by"], "ranks nodes, and this set takes all of them; give `top` or `sample` too, or leave `by` out");
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

function secondSample(kind: NodeKind, place: string): string {
  return `is a second sample of ${kind} nodes at ${place}: no weight would fit both; draw one, or name places that differ`;
}

function emptySet(kind: NodeKind): string {
  const { plural, sites, onSae } = KINDS[kind];
  const where = `there are ${plural} at ${sites.join(", ")}${onSae ? ", where an SAE of the sweep sits" : ""}`;
  return `has no ${kind} node at these sites and layers: ${where}`;
}
