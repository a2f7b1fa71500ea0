/** @file Faults of a sweep's node sets, and of the configurations on them. */
import { z } from "zod";
import { canonicalJson } from "../../base/hash.js";
import { PatchbayError } from "../../base/errors.js";
import { isPartKind } from "../../nodes/kinds.js";
import { unknownScores } from "../../plan/check-nodes.js";
import { checkSet, namesIn, type SetPlace, standsIn } from "../../plan/check-set.js";
import { tokenCounts } from "../../plan/held-out.js";
import { measuredContext } from "../../plan/measured-sets.js";
import { nodeListOf } from "../../plan/node-list.js";
import type { PlanContext } from "../../plan/plan-part.js";
import type { SetContext } from "../../plan/resolve-set.js";
import { scorelessContext } from "../../plan/set-context.js";
import { kindsIn, setsOf, termsOf } from "../../plan/set-expression.js";
import { placesOfSet } from "../../plan/set-places.js";
import { spansOf } from "../../plan/span-positions.js";
import type { SweepSource } from "../../sweep/read-sweep.js";
import { sweepFaults } from "../../sweep/sweep-fault.js";
import { checkContrasts } from "./contrasts.js";
import { axisValues } from "./grid.js";
import { circuitsOf } from "./evaluations.js";
import { FIXED_COLUMNS } from "./point-rows.js";
import {
  besideScores,
  configuration,
  isOnSets,
  type Point,
  pointsOfExperiment,
  SET_FIELDS,
  SIZE_AXIS,
  type SetExperiment,
  type SetUse,
} from "./points.js";
import { circuitsSpecOf, experimentsOf, listedExperiments } from "./spec.js";

type Path = readonly (string | number)[];
type Fault = (path: Path, message: string) => Error;

/** What a configuration is checked against, and where it stands. */
type PointPlace = Omit<SetPlace, "worlds">;

/**
 * Checks the named sets and the configurations on sets.
 * @throws PatchbayError `bad_input` naming file, line and field of the first fault.
 */
export function checkPoints(source: SweepSource, context: PlanContext): void {
  const { sweep, fault } = source;
  const sets = setsOf(sweep);
  const circuits = [placesOf(source, context)];
  const truth = [false, true].map((isGlobal) => measuredContext(placesOf(source, context), isGlobal));
  const measured = namesIn(nodeListOf(sweep)?.nodes ?? [], sets);
  for (const [name, expression] of Object.entries(sets)) {
    const within = (path: Path, message: string): Error => fault(["sets", name, ...path], message);
    if (standsIn(expression, sets, [name]))
      throw within([], `is made of itself; take ${name} out of what it is made of`);
    checkSet(expression, { source, context, within, worlds: measured.has(name) ? truth : circuits });
  }
  checkJoint(source, context);
  const taken = new Set([
    ...experimentsOf(sweep).map((one) => one.name),
    ...circuitsOf(circuitsSpecOf(sweep) ?? { variants: [], thresholds: [] }).map((one) => one.name),
  ]);
  const checked = new Set<string>();
  listedExperiments(sweep).forEach((experiment, i) => {
    if (!isOnSets(experiment)) return;
    const within = (path: Path, message: string): Error => fault(["experiments", i, ...path], message);
    checkParts(experiment, within);
    const column = experiment.grid.map(([axis]) => axis).find((axis) => FIXED_COLUMNS.has(axis));
    if (column !== undefined)
      throw within(["grid", column], `${column} is a column of every circuit; call the axis something else`);
    if (taken.size === taken.add(experiment.name).size)
      throw within(["name"], `the name ${experiment.name} is used twice`);
    const points = pointsWithin(experiment, sweep, within);
    checkFigure(experiment, within);
    checkContrasts(experiment, (axis, message) => within(["contrast", axis], message));
    for (const point of points) {
      for (const part of SET_FIELDS) {
        const expression = point.configuration[part];
        const key = canonicalJson([expression ?? null, point.configuration.by ?? null]);
        if (expression === undefined || checked.size === checked.add(key).size) continue;
        const by = point.configuration.by;
        const inPart = (path: Path, message: string): Error => within([part, ...path], message + atPoint(point));
        checkSet(expression, { source, context, within: inPart, worlds: circuits }, by);
      }
      checkBeside(point, { source, context, within });
      checkWholes(point, { source, context, within });
    }
  });
}

/** Sets that the truth patches at once must be there, have nodes, and not name a node beside a part of it. */
function checkJoint(source: SweepSource, context: PlanContext): void {
  const joint = nodeListOf(source.sweep)?.joint ?? [];
  joint.forEach((name, i) => {
    const within: Fault = (_path, message) => source.fault(["truth", "joint", i], message);
    if (joint.indexOf(name) !== i) throw within([], `the set ${name} is listed twice`);
    checkSet(name, { source, context, within, worlds: [placesOf(source, context)] });
    const hooks = placesOfSet(name, placesOf(source, context));
    if (hooks.size === 0) throw within([], `the set ${name} has no node to patch`);
    const whole = wholeBesidePart(new Set(hooks.keys()));
    if (whole !== undefined)
      throw within([], `the set ${name} patches ${whole} and a part of it; name the node or its parts`);
  });
}

/** A hook of errors among hooks that name a part of these errors too. */
function wholeBesidePart(hooks: ReadonlySet<string>): string | undefined {
  return [...hooks].find((hook) => hooks.has(`${hook}_linear`) || hooks.has(`${hook}_nonlinear`));
}

/** @throws what `within` makes of an axis that a figure names and the grid lacks, or that it names twice. */
function checkFigure({ grid, figure, keep }: SetExperiment, within: Fault): void {
  if (figure === undefined) return;
  const { x, lines, facets = [] } = figure;
  const named: [Path, string | undefined][] = [
    [["x"], x],
    [["lines"], lines],
    ...facets.map((facet): [Path, string] => [["facets"], facet]),
  ];
  const places = new Map<string, string>();
  const axes = new Map(grid.map(([axis, values]) => [axis, axisValues(values).length]));
  for (const [path, axis] of named) {
    if (axis === undefined || (axis === SIZE_AXIS && path[0] === "x")) continue;
    const field = String(path[0]);
    const fault = (message: string): Error => within(["figure", ...path], message);
    if (!axes.has(axis))
      throw fault(`${axis} is no axis of the grid; there are ${[...axes.keys()].join(", ") || "none"}`);
    if ((axes.get(axis) ?? 0) < 2) throw fault(`the axis ${axis} has one value, so there is nothing to draw along it`);
    const other = places.get(axis);
    if (other !== undefined) throw fault(`${axis} is \`${other}\` already; an axis stands in one place`);
    places.set(axis, field);
  }
  if (x === SIZE_AXIS && keep === undefined)
    throw within(["figure", "x"], "`nodes` are those that `keep` keeps, and this experiment keeps no set");
  if (x === SIZE_AXIS && figure.kind === "heatmap")
    throw within(["figure", "kind"], "the number of nodes runs along lines; leave `kind` out, or name an axis in `x`");
  const long = [...axes].filter(([axis, count]) => count > 1 && !facets.includes(axis)).length;
  const besides = facets.length === 0 ? "" : ` beside those of \`facets\``;
  if (figure.kind === "heatmap" && long < 2)
    throw within(["figure", "kind"], `a heatmap needs two axes with more than one value${besides}`);
  if (long === 0) throw within(["figure"], `no axis has more than one value${besides}, so there is nothing to draw`);
}

function checkParts({ keep, ablate, restore, complement }: Readonly<Record<string, unknown>>, within: Fault): void {
  if (keep !== undefined && ablate !== undefined)
    throw within(["ablate"], "`keep` ablates all else; leave one of `keep` and `ablate` out");
  if (keep === undefined && ablate === undefined)
    throw within(
      [],
      restore === undefined
        ? "names nothing to ablate; give `ablate` or `keep`"
        : "restores what nothing ablates; give `ablate` too",
    );
  if (complement === true && keep === undefined)
    throw within(["complement"], "a complement is that of what is kept; give `keep`, or leave it out");
}

function pointsWithin(experiment: SetExperiment, sweep: SweepSource["sweep"], within: Fault): readonly Point[] {
  try {
    return pointsOfExperiment(experiment, setsOf(sweep), spansOf(sweep));
  } catch (thrown) {
    if (thrown instanceof z.ZodError) {
      const [first] = sweepFaults(thrown, thrown, configuration);
      throw within(first?.path ?? [], (first?.message ?? "").replace(/, got .*$/, "") + " once the axes are filled in");
    }
    if (thrown instanceof PatchbayError) throw within(["grid"], thrown.message);
    throw thrown;
  }
}

function atPoint({ axes }: Point): string {
  return axes.size === 0 ? "" : ` (where ${[...axes].map(([axis, value]) => `${axis} is ${value}`).join(", ")})`;
}

/** Sums are of scores that the sweep has, and of what `ablate` names. */
function checkBeside({ configuration }: Point, { source, within }: PointPlace): void {
  const name = besideScores(configuration);
  if (name === undefined) return;
  const unknown = unknownScores(source, name);
  if (unknown !== undefined) throw within(["beside"], unknown);
  if (configuration.ablate === undefined)
    throw within(
      ["beside"],
      "adds up the scores of what `ablate` names, and this configuration has none; leave it out",
    );
}

/** An error and its parts are never changed at once, and circuits are of whole nodes. */
function checkWholes(point: Point, { source, context, within }: PointPlace): void {
  const sets = setsOf(source.sweep);
  const uses = (Object.values(point.sets) as SetUse[]).map(({ expression }) => expression);
  const terms = uses.flatMap((expression) => termsOf(expression, sets));
  if (!terms.some(({ kind }) => kindsIn(kind).some(isPartKind))) return;
  if (point.configuration.keep !== undefined)
    throw within(["keep"], "keeps whole nodes, and a set of this configuration names parts of errors; use `ablate`");
  const places = placesOf(source, context);
  const hooks = new Set(uses.flatMap((expression) => [...placesOfSet(expression, places).keys()]));
  const whole = wholeBesidePart(hooks);
  if (whole !== undefined)
    throw within([], `changes ${whole} and a part of it${atPoint(point)}; name the node or its parts`);
}

/** What places are resolved against; no score is asked. */
function placesOf({ sweep }: SweepSource, context: PlanContext): SetContext {
  return scorelessContext({ ...context, sweep, lengths: tokenCounts(context) });
}
