/**
 * @file The grammar of node sets in `sets`, `experiments` and `truth.nodes`: what a sweep writes, before it is resolved to nodes (resolve-set.ts).
 *
 * A set is a name, a term, or a list of sets, which is their union. A term starts from the nodes of its kinds, or from another set, and
 * each of its fields takes nodes away: places and indexes, then `where`, then `top` or `sample`, then `match`, then `minus`.
 */
import { z } from "zod";
import { NODE_KINDS, type NodeKind } from "../nodes/kinds.js";
import { GLOBAL_POSITION } from "../nodes/node.js";
import { SITES, type Site } from "../nodes/site.js";
import { nameField, positionField } from "../sweep/fields.js";

/** How the nodes of another set are matched. */
export const MATCHES = ["closest", "closest_signed", "committee", "committee_by_sign"] as const;
/** A way to match. */
export type MatchRule = (typeof MATCHES)[number];

/** Layers: one (negative from the last), or `all` or a range `a..b`. */
export type LayerPart = number | string;

/** Positions: one (negative from the end), `all` one by one, or, in the truth, all at once. */
export type PositionPart = "all" | typeof GLOBAL_POSITION | number;

/** A set as it is written, with every axis filled in. */
export type SetExpression = string | SetTerm | readonly SetExpression[];

/** A set by its properties. */
export interface SetTerm {
  readonly set?: SetExpression | undefined;
  readonly kind?: NodeKind | readonly NodeKind[] | undefined;
  readonly site?: Site | readonly Site[] | undefined;
  readonly layers?: LayerPart | readonly LayerPart[] | undefined;
  readonly at?: PositionPart | readonly PositionPart[] | undefined;
  readonly features?: readonly number[] | undefined;
  readonly heads?: readonly number[] | undefined;
  readonly neurons?: readonly number[] | undefined;
  /** Name of the scores that `where`, `top`, `sample` and `match` go by. */
  readonly by?: string | undefined;
  readonly where?: string | undefined;
  readonly top?: number | undefined;
  readonly per?: "layer" | "site" | "all" | undefined;
  readonly sign?: "abs" | "positive" | "negative" | undefined;
  readonly over?: "each" | "sum" | "max" | undefined;
  readonly sample?:
    | { readonly n: number; readonly seed?: number | undefined; readonly strata?: "magnitude" | "none" | undefined }
    | undefined;
  readonly match?: { readonly to: SetExpression; readonly how: MatchRule } | undefined;
  readonly minus?: SetExpression | undefined;
}

/** A threshold on a mean score. */
export interface Threshold {
  readonly of: "abs" | "score";
  readonly relation: ">=" | ">" | "<=" | "<";
  readonly value: number;
}

/** The number of an axis value's place, `$name`. */
export const AXIS_REFERENCE = /^\$[A-Za-z][A-Za-z0-9_]{0,63}$/;
const NUMBER = String.raw`[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?`;
const AXIS = String.raw`|\$[A-Za-z]\w*`;

/** `abs >= 0.01`; the number may be an axis where there are any. */
function whereText(axis: string): RegExp {
  return new RegExp(String.raw`^\s*(abs|score)\s*(>=|<=|>|<)\s*(${NUMBER}${axis})\s*$`);
}

/** `2..5`; a layer may be an axis where there are any. */
function rangeText(axis: string): RegExp {
  return new RegExp(String.raw`^(-?\d{1,4}${axis})\.\.(-?\d{1,4}${axis})$`);
}

const THRESHOLD = whereText("");

/** Reads `abs >= 0.01`; undefined where the text is no threshold on a number. */
export function thresholdOf(where: string): Threshold | undefined {
  const [, of, relation, value] = THRESHOLD.exec(where) ?? [];
  if (of === undefined || relation === undefined || value === undefined) return undefined;
  return { of: of as Threshold["of"], relation: relation as Threshold["relation"], value: Number(value) };
}

/** A field as it is, or the place of an axis value. */
export type OrAxis = <Value>(field: z.ZodType<Value>) => z.ZodType<Value>;

// A text that fails aborts, or the union would tell of this branch alone.
const axisField = z.string().regex(AXIS_REFERENCE, { error: "an axis such as $K", abort: true });
const withAxes: OrAxis = (field) => z.union([field, axisField]) as unknown as typeof field;

const layer = z.int().min(-4096).max(4095);

/** What sets of one place may hold. */
interface GrammarOf {
  /** Whether axes may stand for values. */
  readonly axes: boolean;
  /** Whether nodes may be patched at all positions at once. */
  readonly global: boolean;
}

function expressionField({ axes, global }: GrammarOf): z.ZodType<SetExpression> {
  const orAxis: OrAxis = axes ? withAxes : (field) => field;
  const axis = axes ? AXIS : "";
  const orList = <Value>(one: z.ZodType<Value>): z.ZodType<Value | Value[]> =>
    z.union([orAxis(one), z.array(orAxis(one)).min(1)]);
  const position: z.ZodType<PositionPart> = global
    ? z.union([z.literal("all"), z.literal(GLOBAL_POSITION), positionField])
    : z.union([z.literal("all"), positionField]);
  const indexes = orAxis(
    z
      .array(orAxis(z.int().min(0)))
      .min(1)
      .max(1_000_000),
  );
  const expression: z.ZodType<SetExpression> = z.lazy(() =>
    z.union([orAxis(nameField), term, z.array(expression).max(1000)]),
  );
  const term: z.ZodType<SetTerm> = z.lazy(() =>
    z.strictObject({
      set: expression.optional(),
      kind: orList(z.enum(NODE_KINDS)).optional(),
      site: orList(z.enum(SITES)).optional(),
      layers: orList(
        z.union([
          z.literal("all"),
          layer,
          z.string().regex(rangeText(axis), "layers are `all`, a number, a range such as 2..5, or a list of these"),
        ]),
      ).optional(),
      at: orList(position).optional(),
      features: indexes.optional(),
      heads: indexes.optional(),
      neurons: indexes.optional(),
      by: orAxis(nameField).optional(),
      where: orAxis(
        z
          .string()
          .regex(whereText(axis), { error: "a threshold is such as `abs >= 0.01` or `score < 0`", abort: true }),
      ).optional(),
      top: orAxis(z.int().min(1).max(1_000_000)).optional(),
      per: orAxis(z.enum(["layer", "site", "all"])).optional(),
      sign: orAxis(z.enum(["abs", "positive", "negative"])).optional(),
      over: orAxis(z.enum(["each", "sum", "max"])).optional(),
      sample: z
        .strictObject({
          n: orAxis(z.int().min(1).max(1_000_000)),
          seed: orAxis(z.int().min(0).max(0xffffffff)).optional(),
          strata: orAxis(z.enum(["magnitude", "none"])).optional(),
        })
        .optional(),
      match: z.strictObject({ to: expression, how: orAxis(z.enum(MATCHES)) }).optional(),
      minus: expression.optional(),
    }),
  );
  return expression;
}

/** A set in which axes may stand for values. */
export const setWithAxes = expressionField({ axes: true, global: false });
/** A set whose axes are filled in. */
export const setField = expressionField({ axes: false, global: false });
/** A set of nodes whose truth is measured: they may be patched at all positions at once. */
export const measuredSetField = expressionField({ axes: false, global: true });
/** The same for other fields of a configuration. */
export const orAxis = withAxes;

/** The named sets of a sweep. */
export function setsOf(sweep: { readonly [field: string]: unknown }): Readonly<Record<string, SetExpression>> {
  return (sweep["sets"] ?? {}) as Readonly<Record<string, SetExpression>>;
}

/** The set of a name; undefined where there is none, whatever objects have of themselves. */
export function setCalled(name: string, sets: Readonly<Record<string, SetExpression>>): SetExpression | undefined {
  return Object.hasOwn(sets, name) ? sets[name] : undefined;
}

/** All terms of a set, inner ones too, those of named sets among them. A name without a set is left out, and one within itself. */
export function termsOf(
  expression: SetExpression,
  sets: Readonly<Record<string, SetExpression>>,
  within: readonly string[] = [],
): SetTerm[] {
  if (typeof expression === "string") {
    const named = setCalled(expression, sets);
    return named === undefined || within.includes(expression) ? [] : termsOf(named, sets, [...within, expression]);
  }
  if (isList(expression)) return expression.flatMap((one) => termsOf(one, sets, within));
  const inner = innerSets(expression);
  return [expression, ...inner.flatMap((one) => termsOf(one, sets, within))];
}

/** Sets that stand within a term. */
export function innerSets({ set, match, minus }: SetTerm): SetExpression[] {
  return [set, match?.to, minus].filter((one) => one !== undefined);
}

/** Kinds that a term names. */
export function kindsIn(kind: SetTerm["kind"]): readonly NodeKind[] {
  return kind === undefined ? [] : partsOf(kind);
}

/** Whether a set is a list of sets. */
export function isList(expression: SetExpression): expression is readonly SetExpression[] {
  return Array.isArray(expression);
}

/** A field's values, of which a single one stands for a list of one. */
export function partsOf<Value>(value: Value | readonly Value[]): readonly Value[] {
  return Array.isArray(value) ? (value as readonly Value[]) : [value as Value];
}

/** Whether a term goes by scores. */
export function isScored({ where, top, sample, match }: SetTerm): boolean {
  return [where, top, sample, match].some((field) => field !== undefined);
}
