/**
 * @file What `truth.nodes` lists: sets of nodes, in the grammar of all sets (set-expression.ts).
 *
 * The truth reads what stands in an entry itself in its own way: each kind is ranked apart, and `sample` draws beside `top`, from the rest.
 * An entry of no more than kinds, places, `top` and `sample` is plain: every site has slots of its own for it.
 */
import type { NodeKind } from "../nodes/kinds.js";
import type { Site } from "../nodes/site.js";
import {
  isList,
  isScored,
  type LayerPart,
  measuredSetField,
  partsOf,
  type PositionPart,
  type SetExpression,
  type SetTerm,
  termsOf,
} from "./set-expression.js";

/** A plain entry, its defaults filled in. */
export interface NodeSet extends SetTerm {
  readonly kind: readonly NodeKind[];
  readonly site?: readonly Site[] | undefined;
  readonly layers: readonly LayerPart[];
  readonly at: readonly PositionPart[];
  readonly sample?: { readonly n: number; readonly seed?: number; readonly strata: "magnitude" | "none" } | undefined;
}

const PLAIN_FIELDS = new Set(["kind", "site", "layers", "at", "top", "by", "sample"]);

/** An entry as a sweep writes it; plain ones have their defaults filled in. */
export const nodeSetField = measuredSetField.transform(withDefaults);

function withDefaults(entry: SetExpression): SetExpression {
  if (typeof entry === "string") return entry;
  if (isList(entry)) return entry.map(withDefaults);
  const { kind, site, layers = "all", at = "all", sample, ...rest } = entry;
  if (kind === undefined || Object.keys(entry).some((field) => !PLAIN_FIELDS.has(field))) return entry;
  return {
    kind: partsOf(kind),
    ...(site === undefined ? {} : { site: partsOf(site) }),
    layers: partsOf(layers),
    at: partsOf(at),
    ...rest,
    ...(sample === undefined ? {} : { sample: { ...sample, strata: sample.strata ?? "magnitude" } }),
  };
}

/** One set of the list: a name or a term. */
export type MeasuredSet = string | SetTerm;

/** A set and its place in the list. */
export interface ListedSet {
  readonly set: MeasuredSet;
  readonly path: readonly number[];
}

/** The sets of a list; those of lists within it are each one of them. */
export function listedSets(nodes: readonly SetExpression[] = [], within: readonly number[] = []): ListedSet[] {
  return nodes.flatMap((entry, i) => {
    const path = [...within, i];
    return typeof entry !== "string" && isList(entry) ? listedSets(entry, path) : [{ set: entry, path }];
  });
}

/** Whether a set is plain. */
export function isPlain(set: MeasuredSet): set is NodeSet {
  return (
    typeof set !== "string" && set.kind !== undefined && Object.keys(set).every((field) => PLAIN_FIELDS.has(field))
  );
}

/** Whether a sweep's truth lists sets that may name others. */
export function readsSets({ truth }: { readonly [field: string]: unknown }): boolean {
  const { nodes } = (truth ?? {}) as { readonly nodes?: readonly SetExpression[] };
  return listedSets(nodes).some(({ set }) => !isPlain(set));
}

/** A set as each of its kinds has it: ranked and drawn apart. */
export function kindsApart(set: MeasuredSet): MeasuredSet[] {
  if (typeof set === "string" || set.kind === undefined) return [set];
  if (set.top === undefined && set.sample === undefined) return [set];
  return partsOf(set.kind).map((kind) => ({ ...set, kind }));
}

/** Name of the scores that a plain set ranks by; undefined where it takes every node. */
export function rankedBy({ top, sample: drawn, by }: NodeSet): string | undefined {
  return top === undefined && drawn === undefined ? undefined : (by ?? DEFAULT_SCORES);
}

/** Scores of a set that names none. */
export const DEFAULT_SCORES = "atp";

/** Names of the scores that a set goes by. */
export function scoresOfSet(set: SetExpression, sets: Readonly<Record<string, SetExpression>>): string[] {
  return termsOf(set, sets).flatMap((term) => (isScored(term) ? [term.by ?? DEFAULT_SCORES] : []));
}
