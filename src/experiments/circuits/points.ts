/**
 * @file Configurations on sets of nodes: what a sweep's `experiments` write with `grid`, `keep`, `ablate` and `restore`, and the points that
 * they come to.
 *
 * - `keep` ablates all else; `ablate` and `restore` change what they name, and a node that both name is restored.
 * - `exempt` is never ablated, neither in the circuit nor in its complement nor in the empty circuit.
 * - The complement ablates what is kept. What the `minus` of `keep` takes away is ablated in both.
 */
import { z } from "zod";
import { counted } from "../../base/counted.js";
import { canonicalJson } from "../../base/hash.js";
import { type Ablation, ABLATIONS } from "../../nodes/intervention.js";
import { isPartKind } from "../../nodes/kinds.js";
import {
  isList,
  isScored,
  kindsIn,
  orAxis,
  type OrAxis,
  setCalled,
  type SetExpression,
  setField,
  setsOf,
  setWithAxes,
  termsOf,
} from "../../plan/set-expression.js";
import { nodeListOf } from "../../plan/node-list.js";
import { spansOf, withPositions } from "../../plan/span-positions.js";
import { nameField } from "../../sweep/fields.js";
import { type Axis, AXIS_NAME, axisField, type AxisLabel, type Grid, gridPoints } from "./grid.js";

/** The artifact that holds the nodes of all sets. */
export const SETS_FILE = "sets.parquet";

/** Sets of a configuration. */
export const SET_FIELDS = ["keep", "ablate", "restore", "exempt"] as const;

/** Axes of these names fill in the field of the same name (`scores`: of `by`), unless the configuration gives it. */
const BOUND_AXES: Readonly<Record<string, string>> = { ablation: "ablation", by: "by", scores: "by", seed: "seed" };

/** What may stand beside a point's metric: the sum of the mean scores of the nodes that it ablates. */
const BESIDE = /^sum\(([A-Za-z0-9][A-Za-z0-9_-]{0,63})\)$/;

/** Name of the scores that a point's `beside` adds up; undefined where it says nothing. */
export function besideScores({ beside }: Pick<Configuration, "beside">): string | undefined {
  return beside === undefined ? undefined : BESIDE.exec(beside)?.[1];
}

const fieldsOf = (place: OrAxis, set: z.ZodType<SetExpression>) => ({
  ablation: place(z.enum(ABLATIONS)).optional(),
  by: place(nameField).optional(),
  seed: place(z.int().min(0).max(0xffffffff)).optional(),
  keep: set.optional(),
  ablate: set.optional(),
  restore: set.optional(),
  exempt: set.optional(),
  complement: z.boolean().optional(),
  beside: place(
    z.string().regex(BESIDE, "expected the sum of scores of what is ablated, such as `sum(atp)`"),
  ).optional(),
});

const axisName = z.string().regex(AXIS_NAME, "an axis is a letter, then letters, digits and _");

const CONTRAST = /^(?!.* - .* - )\S.* - .*\S$/;

/** What a figure's `x` may name beside an axis: the number of nodes that are kept. */
export const SIZE_AXIS = "nodes";

/** How a grid is drawn, where it is to be drawn otherwise than its axes would have it. */
const figure = z.strictObject({
  kind: z.enum(["lines", "heatmap"]).optional(),
  x: axisName.optional(),
  lines: axisName.optional(),
  facets: z.union([axisName.transform((one) => [one]), z.array(axisName)]).optional(),
});

/** Which axis of a grid stands where. */
export type FigureSpec = z.infer<typeof figure>;

/** A configuration on sets as a sweep writes it. */
export const setExperiment = z.strictObject({
  name: nameField,
  // A list keeps the order, which a plan's objects do not.
  grid: z
    .record(axisName, axisField)
    .default({})
    .transform((grid): Grid => Object.entries(grid)),
  // Two values of an axis, the second of which is taken from the first.
  contrast: z
    .record(axisName, z.string().regex(CONTRAST, 'a contrast is two values of the axis, such as "zero - mean"'))
    .transform((contrast): readonly (readonly [axis: string, text: string])[] => Object.entries(contrast))
    .optional(),
  figure: figure.optional(),
  ...fieldsOf(orAxis, setWithAxes),
});

/** A configuration on sets, its axes not filled in. */
export type SetExperiment = z.infer<typeof setExperiment>;

/** A configuration whose axes are filled in. */
export const configuration = z.strictObject(fieldsOf((field) => field, setField));

/** What one point does. */
export type Configuration = z.infer<typeof configuration> & { readonly ablation: Ablation };

/** One point of an experiment's grid. */
export interface Point {
  readonly experiment: string;
  /** Name in `circuits.parquet`. */
  readonly circuit: string;
  readonly axes: ReadonlyMap<string, AxisLabel>;
  readonly configuration: Configuration;
  readonly sets: PointSets;
  /** Equal for points that do the same. */
  readonly key: string;
}

/** A set that points use: equal ones once. */
export interface SetUse {
  readonly key: string;
  readonly expression: SetExpression;
  readonly by: string;
  readonly seed: number | undefined;
  /** What it is called: its name in `sets`, or where it stands. */
  readonly set: string;
  /** The first circuit that uses it. */
  readonly point: string;
}

/** Scores of a set that names none. */
const DEFAULT_SCORES = "atp";

/** Whether an experiment is on sets of nodes. */
export function isOnSets(experiment: unknown): experiment is SetExperiment {
  return typeof experiment === "object" && experiment !== null && "grid" in experiment;
}

/** The experiments of a sweep that are on sets. */
export function experimentsOnSets({ experiments }: { readonly [field: string]: unknown }): SetExperiment[] {
  return Array.isArray(experiments) ? experiments.filter(isOnSets) : [];
}

/**
 * The points of one experiment.
 * @param spans - names of spans, which axes may stand for.
 * @throws PatchbayError `bad_input` for a grid that has none, and `ZodError` for a point whose values do not fit their fields.
 */
export function pointsOfExperiment(
  { name, grid, contrast: _contrast, figure: _figure, ...written }: SetExperiment,
  sets: NamedSets,
  spans?: readonly string[],
): Point[] {
  const bound = Object.entries(BOUND_AXES).filter(([axis]) => grid.some(([name]) => name === axis));
  const given = { ...Object.fromEntries(bound.map(([axis, field]) => [field, `$${axis}`])), ...defined(written) };
  return gridPoints(grid, given).map(({ axes, configuration: filled }) => {
    const parsed = { ablation: "mean" as const, ...withPositions(configuration.parse(filled), spans) };
    const label = [...axes].map(([axis, value]) => `${axis}=${value}`).join(",");
    const named = { experiment: name, circuit: axes.size === 0 ? name : `${name}[${label}]` };
    return {
      ...named,
      axes,
      configuration: parsed as Configuration,
      sets: usesIn(parsed, named, minusOf(parsed.keep, sets)),
      key: canonicalJson({ ...parsed, beside: null }),
    };
  });
}

type NamedSets = Readonly<Record<string, SetExpression>>;

/** What the `minus` of `keep` takes away, and those of the sets that it starts from or is the name of. */
function minusOf(keep: SetExpression | undefined, sets: NamedSets): SetExpression | undefined {
  const [first, ...others] = keep === undefined ? [] : takenAway(keep, sets, new Set());
  return others.length === 0 ? first : [first ?? [], ...others];
}

function takenAway(kept: SetExpression, sets: NamedSets, within: ReadonlySet<string>): SetExpression[] {
  if (typeof kept === "string") {
    const named = within.has(kept) ? undefined : setCalled(kept, sets);
    return named === undefined ? [] : takenAway(named, sets, new Set([...within, kept]));
  }
  if (isList(kept)) return [];
  const { minus, set } = kept;
  return [...(minus === undefined ? [] : [minus]), ...(set === undefined ? [] : takenAway(set, sets, within))];
}

const known = new WeakMap<object, readonly Point[]>();

/** All points of a sweep that was checked, experiment by experiment. */
export function pointsOf(sweep: { readonly [field: string]: unknown }): readonly Point[] {
  const { experiments } = sweep;
  if (!Array.isArray(experiments)) return [];
  const points =
    known.get(experiments) ??
    experimentsOnSets(sweep).flatMap((one) => pointsOfExperiment(one, setsOf(sweep), spansOf(sweep)));
  known.set(experiments, points);
  return points;
}

/** `78 points of 3 experiments, 74 of them different: restore-top-k 18, windows 24, circuits 36`; nothing where no experiment is on sets. */
export function pointCounts(sweep: { readonly [field: string]: unknown }): string[] {
  const counts = new Map<string, number>();
  for (const { experiment } of pointsOf(sweep)) counts.set(experiment, (counts.get(experiment) ?? 0) + 1);
  if (counts.size === 0) return [];
  const total = pointsOf(sweep).length;
  const different = new Set(pointsOf(sweep).map(({ key }) => key)).size;
  const points = `${counted(total, "point")} of ${counted(counts.size, "experiment")}`;
  const listed = [...counts].map(([name, count]) => `${name} ${String(count)}`).join(", ");
  return [`${points}${different === total ? "" : `, ${String(different)} of them different`}: ${listed}`];
}

/** The sets of a point. `without` is what the `minus` of `keep` takes away. */
export interface PointSets {
  readonly keep?: SetUse;
  readonly without?: SetUse;
  readonly ablate?: SetUse;
  readonly restore?: SetUse;
  readonly exempt?: SetUse;
}

function usesIn(
  { by = DEFAULT_SCORES, seed, ...sets }: z.infer<typeof configuration>,
  { experiment, circuit }: Pick<Point, "experiment" | "circuit">,
  without: SetExpression | undefined,
): PointSets {
  const use = (part: string, expression: SetExpression): SetUse => ({
    key: keyOf(expression, by, seed),
    expression,
    by,
    seed,
    set: typeof expression === "string" ? expression : `${experiment}.${part}`,
    point: circuit,
  });
  return {
    ...Object.fromEntries(
      SET_FIELDS.flatMap((part) => {
        const expression = sets[part];
        return expression === undefined ? [] : [[part, use(part, expression)]];
      }),
    ),
    ...(without === undefined ? {} : { without: use("keep.minus", without) }),
  };
}

/** Equal for sets that come to the same nodes. */
function keyOf(expression: SetExpression, by: string, seed: number | undefined): string {
  return canonicalJson([expression, by, seed ?? null]);
}

const usesOf = new WeakMap<readonly Point[], readonly SetUse[]>();

/** The sets that a sweep's truth patches all at once. */
export function jointUses(sweep: { readonly [field: string]: unknown }): SetUse[] {
  return (nodeListOf(sweep)?.joint ?? []).map((name) => ({
    key: keyOf(name, DEFAULT_SCORES, undefined),
    expression: name,
    by: DEFAULT_SCORES,
    seed: undefined,
    set: name,
    point: "truth.joint",
  }));
}

/** All sets of a sweep in order, each once: those of its points, then those that its truth patches all at once. */
export function setUses(sweep: { readonly [field: string]: unknown }): readonly SetUse[] {
  const ofPoints = usesOfPoints(sweep);
  const known = new Set(ofPoints.map(({ key }) => key));
  return [...ofPoints, ...jointUses(sweep).filter(({ key }) => !known.has(key))];
}

function usesOfPoints(sweep: { readonly [field: string]: unknown }): readonly SetUse[] {
  const points = pointsOf(sweep);
  const listed = usesOf.get(points);
  if (listed !== undefined) return listed;
  const uses = new Map<string, SetUse>();
  for (const point of points)
    for (const use of Object.values(point.sets) as SetUse[]) if (!uses.has(use.key)) uses.set(use.key, use);
  usesOf.set(points, [...uses.values()]);
  return [...uses.values()];
}

/** Whether a set of a sweep may go by scores; its grids need not be without fault yet. */
export function asksScores(sweep: { readonly [field: string]: unknown }): boolean {
  const sets = setsOf(sweep);
  return experimentsOnSets(sweep).some((one) => goesByScores(one, sets)) || Object.values(sets).some(isScoredIn(sets));
}

/** Whether a set of one experiment may go by scores, or stands beside their sum. */
export function goesByScores({ keep, ablate, restore, exempt, beside, grid }: SetExperiment, sets: NamedSets): boolean {
  if (beside !== undefined) return true;
  const named = [
    ...[keep, ablate, restore, exempt].filter((set) => set !== undefined),
    ...grid.flatMap(([, axis]) =>
      isMap(axis) ? axis.named.map(([, one]) => one).filter((one) => typeof one === "object") : [],
    ),
  ];
  return named.some(isScoredIn(sets));
}

const isScoredIn =
  (sets: NamedSets) =>
  (one: SetExpression): boolean =>
    termsOf(one, sets).some(isScored);

function isMap(axis: Axis): axis is Extract<Axis, { readonly named: unknown }> {
  return typeof axis === "object" && "named" in axis;
}

/** Names of the scores that a set goes by. */
export function scoresOfUse({ expression, by }: SetUse, sets: NamedSets): string[] {
  return termsOf(expression, sets).flatMap((term) => (isScored(term) ? [term.by ?? by] : []));
}

/** Names of the scores that a sweep's sets go by, and that stand beside its points. */
export function setScores(sweep: { readonly [field: string]: unknown }): string[] {
  const sets = setsOf(sweep);
  const names = setUses(sweep).flatMap((use) => scoresOfUse(use, sets));
  return [...new Set([...names, ...pointsOf(sweep).flatMap(({ configuration }) => besideScores(configuration) ?? [])])];
}

/** Whether a set of a sweep names parts of errors. */
export function namesParts(sweep: { readonly [field: string]: unknown }): boolean {
  const sets = setsOf(sweep);
  return setUses(sweep).some(({ expression }) =>
    termsOf(expression, sets).some(({ kind }) => kindsIn(kind).some(isPartKind)),
  );
}

function defined(fields: object): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
