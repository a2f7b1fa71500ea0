/** @file Faults of one set of nodes, wherever a sweep has it. */
import { must } from "../base/assert.js";
import { INDEX_FIELDS, isPartKind, KINDS, type NodeKind } from "../nodes/kinds.js";
import { checkPosition, unknownScores } from "./check-nodes.js";
import { fitOf, NO_FIT } from "./fit-spec.js";
import { borrows } from "./lender.js";
import { layersOfSet, sizesAt } from "./node-places.js";
import { DEFAULT_SCORES } from "./node-sets.js";
import type { PlanContext } from "./plan-part.js";
import { kindsOf, type SetContext, sitesOfTerm } from "./resolve-set.js";
import {
  innerSets,
  isList,
  isScored,
  kindsIn,
  partsOf,
  type PositionPart,
  setCalled,
  type SetExpression,
  setsOf,
  type SetTerm,
  termsOf,
} from "./set-expression.js";
import { countedFromBothEnds, meet, placesOfSet } from "./set-places.js";
import type { SweepSource } from "../sweep/read-sweep.js";

type NamedSets = Readonly<Record<string, SetExpression>>;

/** What a set is checked against, and where it stands. */
export interface SetPlace {
  readonly source: SweepSource;
  readonly context: PlanContext;
  /** A fault of the set's field at a path. */
  readonly within: (path: readonly (string | number)[], message: string) => Error;
  /** What it is resolved against: where nodes may be patched at all positions at once, these apart. */
  readonly worlds: readonly SetContext[];
}

/** Whether a set names one of those that it stands in. */
export function standsIn(expression: SetExpression, sets: NamedSets, within: readonly string[]): boolean {
  if (typeof expression === "string") {
    const named = setCalled(expression, sets);
    return within.includes(expression) || (named !== undefined && standsIn(named, sets, [...within, expression]));
  }
  const inner: readonly SetExpression[] = isList(expression) ? expression : innerSets(expression);
  return inner.some((one) => standsIn(one, sets, within));
}

/** All names that a set is made of. */
export function namesIn(expression: SetExpression, sets: NamedSets, known = new Set<string>()): ReadonlySet<string> {
  if (typeof expression === "string") {
    const named = known.size === known.add(expression).size ? undefined : setCalled(expression, sets);
    return named === undefined ? known : namesIn(named, sets, known);
  }
  const inner: readonly SetExpression[] = isList(expression) ? expression : innerSets(expression);
  for (const one of inner) namesIn(one, sets, known);
  return known;
}

/**
 * Checks all terms of a set.
 * @param by - scores of a term that names none.
 * @throws what `within` makes of the first fault.
 */
export function checkSet(expression: SetExpression, place: SetPlace, by = DEFAULT_SCORES): void {
  const { source, within } = place;
  const sets = setsOf(source.sweep);
  const unknown = [...namesIn(expression, sets)].find((name) => setCalled(name, sets) === undefined);
  if (unknown !== undefined) {
    const known = Object.keys(sets);
    throw within(
      [],
      `no set is called ${unknown} (${known.length === 0 ? "there are none" : `there are: ${known.join(", ")}`}); name it under \`sets\``,
    );
  }
  const terms = termsOf(expression, sets);
  for (const term of terms) checkTerm({ by, ...term }, place);
  for (const term of terms) checkPlaces(term, place);
}

function checkTerm(term: SetTerm, place: SetPlace): void {
  const { source, context, within } = place;
  const unknown = isScored(term) && term.by !== undefined ? unknownScores(source, term.by) : undefined;
  if (unknown !== undefined) throw within(["by"], unknown);
  const { nLayers } = context.shape;
  const layers = layersOfSet({ layers: partsOf(term.layers ?? "all") }, nLayers);
  const beyond = layers.find((layer) => layer < 0 || layer >= nLayers);
  if (beyond !== undefined)
    throw within(["layers"], `the model has layers 0 to ${String(nLayers - 1)}, got ${String(beyond)}`);
  if (layers.length === 0) throw within(["layers"], "names no layer: a range goes from the lower to the higher one");
  for (const position of partsOf<PositionPart>(term.at ?? "all")) {
    if (typeof position !== "number") continue;
    checkPosition(position, context, (message) => within(["at"], message));
    if (position < 0 && context.lengths.areMixed && borrows(source.sweep))
      throw within(
        ["at"],
        `with prompts of several lengths ${String(position)} needs the scores of single prompts, and scores \`from\` a run are means by position from the start; count from the start, or use prompts of one length`,
      );
  }
  const world = must(place.worlds[0], "world");
  checkKinds(term, place, world);
  checkIndexes(term, place, world);
}

/** Circuits are made of nodes that do not overlap; parts of errors need errors, and a fit. */
function checkKinds({ kind: named }: SetTerm, { source, within }: SetPlace, { kinds, overlapping }: SetContext): void {
  for (const kind of kindsIn(named)) {
    if (isPartKind(kind) && fitOf(source.sweep) === undefined) throw within(["kind"], `${kind} ${NO_FIT}`);
    if (!isPartKind(kind) && !kinds.includes(kind) && overlapping !== true)
      throw within(["kind"], `circuits of this sweep are made of ${kinds.join(", ")}, and not of ${kind} nodes`);
    if (isPartKind(kind) && !kinds.includes("error"))
      throw within(["kind"], `${kind} nodes are parts of SAEs, and the sweep has none`);
  }
}

/** What a term starts from, takes away and matches must be where the term is. */
function checkPlaces(term: SetTerm, { within, worlds }: SetPlace): void {
  const there = worlds.flatMap((world) => {
    const own = placesOfSet(term, world);
    return own.size === 0 ? [] : [{ world, own }];
  });
  if (there.length === 0) throw within([], "names no node: the set that it starts from has none at these places");
  for (const { world, own } of there) {
    if (term.match !== undefined && !meet(own, placesOfSet(term.match.to, world)))
      throw within(["match"], "`to` has no node at a site, layer and position of this set");
    const apart = term.minus === undefined ? undefined : countedFromBothEnds(own, placesOfSet(term.minus, world));
    if (apart !== undefined)
      throw within(
        ["minus"],
        `counts positions of ${apart} from the other end than the set: with prompts of several lengths these are nodes of their own; count both from one end`,
      );
  }
}

/** Kinds of a term, of which each must have a site there; and indexes, which must be those of a node. */
function checkIndexes(term: SetTerm, { context, within }: SetPlace, world: SetContext): void {
  const kinds = kindsOf(term, world);
  const sites = kinds.flatMap((kind) => sitesOfTerm(term, kind, world).map((at) => ({ kind, at })));
  if (term.set === undefined && sites.length === 0)
    throw within([], `names no node: ${kinds.map((kind) => whereOf(kind, world)).join("; ")}`);
  for (const field of INDEX_FIELDS) {
    const named = { feature: term.features, head: term.heads, neuron: term.neurons }[field];
    const own = sites.filter(({ kind }) => KINDS[kind].index === field);
    if (named === undefined || own.length === 0) continue;
    const width = Math.max(...own.map(({ kind, at }) => KINDS[kind].perPosition(sizesAt(context, at))));
    const beyond = named.find((index) => index >= width);
    if (beyond !== undefined)
      throw within([`${field}s`], `there are ${field}s 0 to ${String(width - 1)}, got ${String(beyond)}`);
  }
}

function whereOf(kind: NodeKind, world: SetContext): string {
  const { plural, onSae } = KINDS[kind];
  const sites = onSae ? KINDS[kind].sites : new Set(sitesOfTerm({ kind }, kind, world).map(({ site }) => site));
  return `there are ${plural} at ${[...sites].join(", ")}${onSae ? ", where an SAE of the sweep sits" : ""}`;
}
