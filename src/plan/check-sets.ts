/** @file Faults of the sets of nodes that a sweep's truth lists. */
import { isPartKind, isSaeKind, KINDS, type NodeKind } from "../nodes/kinds.js";
import { siteHook } from "../nodes/site.js";
import { checkPosition, hasSaes, NO_SAES, unknownScores } from "./check-nodes.js";
import { fitOf, NO_FIT } from "./fit-spec.js";
import { layersOfSet, type NodeSet, rankedBy, sitesOfSet } from "./node-sets.js";
import type { PlanContext } from "./plan-part.js";
import type { SweepSource } from "../sweep/read-sweep.js";

/** @throws PatchbayError `bad_input` naming file, line and field of the first fault. */
export function checkSets(source: SweepSource, sets: readonly NodeSet[], context: PlanContext): void {
  sets.forEach((set, i) => {
    const fault = (field: readonly (string | number)[], message: string): Error =>
      source.fault(["truth", "nodes", i, ...field], message);
    checkRank(source, set, fault);
    checkPlaces(set, context, fault);
    for (const kind of set.kind) {
      if (isSaeKind(kind) && !hasSaes(source, context))
        throw fault(["kind"], `patching of ${kind} nodes ${NO_SAES}, or name another kind`);
      if (isPartKind(kind) && fitOf(source.sweep) === undefined) throw fault(["kind"], `${kind} ${NO_FIT}`);
      if (!hasSites(set, kind, context)) throw fault([], emptySet(kind));
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

function hasSites(set: NodeSet, kind: NodeKind, { shape, saes }: PlanContext): boolean {
  const withSae = new Set(saes.map(siteHook));
  return sitesOfSet(set, kind, shape.nLayers).some((at) => !KINDS[kind].onSae || withSae.has(siteHook(at)));
}

function emptySet(kind: NodeKind): string {
  const { plural, sites, onSae } = KINDS[kind];
  const where = `there are ${plural} at ${sites.join(", ")}${onSae ? ", where an SAE of the sweep sits" : ""}`;
  return `has no ${kind} node at these sites and layers: ${where}`;
}
