/** @file How the points of a grid are laid out in a figure: which axis runs along x, which is a line each, which a panel each. */
import { must } from "../../../base/assert.js";
import { logarithmOf } from "../../../base/elementary-functions.js";
import { type FigureSpec, SIZE_AXIS } from "../points.js";
import { type Axis, axisValues, type AxisLabel, type Grid } from "../grid.js";

/** An axis with more than one value. */
export interface PlacedAxis {
  readonly name: string;
  readonly values: readonly AxisLabel[];
  /** Numbers, spans and windows have an order; names have none. */
  readonly isOrdered: boolean;
  /** Whether its values were measured, and are no round numbers to label. */
  readonly isMeasured?: boolean;
}

/** Where the axes of a grid stand. */
export interface GridLayout {
  readonly x: PlacedAxis;
  /** Rows of a heatmap; null for lines. */
  readonly y: PlacedAxis | null;
  /** A line for each value; null where there is one. */
  readonly lines: PlacedAxis | null;
  /** A panel for each combination. */
  readonly facets: readonly PlacedAxis[];
}

/** Two ordered axes that are longer than this make a heatmap. */
const LONG = 5;
/** Lines that can be told apart. */
const MOST_LINES = 4;

/**
 * Lays out a grid: the longest ordered axis along x, the next a line each, or rows of a heatmap where both are long. What the sweep's `figure`
 * names stands where it says. Null where no axis has two values.
 * @param sizes - numbers of nodes of the points, for a figure that asks for them along x.
 */
export function layoutOf(grid: Grid, figure: FigureSpec = {}, sizes: readonly number[] = []): GridLayout | null {
  if (figure.x === SIZE_AXIS) return bySizeLayout(grid, figure, sizes);
  const axes = grid.map(([name, axis]): PlacedAxis => ({ name, values: labelsOf(axis), isOrdered: isOrdered(axis) }));
  const long = axes.filter(({ values }) => values.length > 1);
  const called = (name: string | undefined): PlacedAxis | undefined => long.find((axis) => axis.name === name);
  const panels = long.filter(({ name }) => figure.facets?.includes(name) === true);
  const free = long.filter((axis) => !panels.includes(axis) && axis.name !== figure.x && axis.name !== figure.lines);
  const ordered = byLength(free.filter((axis) => axis.isOrdered));
  const x = called(figure.x) ?? ordered[0] ?? byLength(free)[0] ?? called(figure.lines);
  if (x === undefined) return null;
  const others = [...ordered, ...free].filter((axis) => axis !== x);
  const wanted = called(figure.lines);
  const second = wanted === x ? undefined : (wanted ?? others[0]);
  const bothLong = second?.isOrdered === true && second.values.length > LONG && x.values.length > LONG;
  const isHeatmap = second !== undefined && (figure.kind === undefined ? bothLong : figure.kind === "heatmap");
  const rest = long.filter((axis) => axis !== x && !panels.includes(axis) && !(isHeatmap && axis === second));
  const lines = isHeatmap ? undefined : (wanted ?? rest.find(({ values }) => values.length <= MOST_LINES));
  return {
    x,
    y: isHeatmap ? second : null,
    lines: lines === x ? null : (lines ?? null),
    facets: [...rest.filter((axis) => axis !== lines), ...panels],
  };
}

/** The layout with the sizes of points along x, in place of the axis that would run there. */
function bySizeLayout(grid: Grid, { x: _x, ...figure }: FigureSpec, sizes: readonly number[]): GridLayout | null {
  const layout = layoutOf(grid, { ...figure, kind: "lines" });
  const values = [...new Set(sizes)].sort((a, b) => a - b);
  return layout === null || values.length < 2
    ? null
    : { ...layout, x: { name: SIZE_AXIS, values, isOrdered: true, isMeasured: true } };
}

function byLength(axes: readonly PlacedAxis[]): PlacedAxis[] {
  return axes.toSorted((a, b) => b.values.length - a.values.length);
}

function labelsOf(axis: Axis): AxisLabel[] {
  return axisValues(axis).map(({ label }) => label);
}

function isOrdered(axis: Axis): boolean {
  if (typeof axis === "string") return true;
  if (!Array.isArray(axis)) return !("named" in axis);
  return axis.every((part) => typeof part !== "string" || part.includes(".."));
}

/** Every combination of values of the axes, by name; one that is empty where there are no axes. */
export function combinations(axes: readonly PlacedAxis[]): ReadonlyMap<string, AxisLabel>[] {
  return axes.reduce<ReadonlyMap<string, AxisLabel>[]>(
    (before, { name, values }) => before.flatMap((one) => values.map((value) => new Map([...one, [name, value]]))),
    [new Map()],
  );
}

/** Where a value stands along an axis: a number by its size where all are numbers, else its place in the list. */
export function isNumeric({ values }: PlacedAxis): boolean {
  return values.every((value) => typeof value === "number");
}

/** Whether numbers are so far apart that they are read on a logarithmic axis. */
export function isLogarithmic(axis: PlacedAxis): boolean {
  if (!isNumeric(axis)) return false;
  const numbers = axis.values.map(Number);
  const [least, most] = [Math.min(...numbers), Math.max(...numbers)];
  return least > 0 && most / least >= 20;
}

/** The place of a value; on a logarithmic axis its exponent, because a logarithmic scale leaves out labels that are no round numbers. */
export function placeOn(axis: PlacedAxis, value: AxisLabel): number {
  if (isLogarithmic(axis)) return logarithmOf(Number(value)) / Math.LN10;
  return isNumeric(axis) ? Number(value) : must(axis.values.indexOf(value), axis.name);
}
