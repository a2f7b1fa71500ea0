/** @file Contrasts of a grid: what one value of an axis leaves of the metric, less what another leaves, point by point and paired by prompt. */
import { must } from "../../base/assert.js";
import { type AxisLabel, axisValues } from "./grid.js";
import { experimentsOnSets, type Point, pointsOf, type SetExperiment } from "./points.js";

/** The artifact's name. */
export const CONTRASTS_FILE = "contrasts.parquet";

/** Two points that differ in one axis. */
export interface Contrast {
  readonly experiment: string;
  readonly axis: string;
  /** `ablation: zero - mean`. */
  readonly name: string;
  /** The other axes. */
  readonly axes: ReadonlyMap<string, AxisLabel>;
  readonly first: Point;
  readonly second: Point;
}

/** A contrast as a sweep writes it: two values of an axis. */
interface Sides {
  readonly first: string;
  readonly second: string;
}

function sidesOf(text: string): Sides {
  const [first = "", second = ""] = text.split(" - ");
  return { first, second };
}

/** Throws what `fault` makes of a contrast of an axis or a value that the grid does not have. */
export function checkContrasts(
  { grid, contrast = [] }: SetExperiment,
  fault: (axis: string, message: string) => Error,
): void {
  for (const [axis, text] of contrast) {
    const own = grid.find(([name]) => name === axis);
    if (own === undefined) throw fault(axis, `${axis} is no axis of the grid`);
    const labels = axisValues(own[1]).map(({ label }) => String(label));
    const { first, second } = sidesOf(text);
    const unknown = [first, second].find((side) => !labels.includes(side));
    if (unknown !== undefined) throw fault(axis, `${axis} has no value ${unknown}; it has ${labels.join(", ")}`);
    if (first === second) throw fault(axis, `a value less itself is 0; name two values of ${axis}`);
  }
}

/** The contrasts of a sweep. */
export function contrastsOf(sweep: { readonly [field: string]: unknown }): Contrast[] {
  return experimentsOnSets(sweep).flatMap(({ name: experiment, contrast = [] }) => {
    const points = pointsOf(sweep).filter((point) => point.experiment === experiment);
    return contrast.flatMap(([axis, text]) => {
      const { first, second } = sidesOf(text);
      const at = (value: string): Point[] => points.filter(({ axes }) => String(axes.get(axis)) === value);
      const othersOf = ({ axes }: Point): ReadonlyMap<string, AxisLabel> =>
        new Map([...axes].filter(([name]) => name !== axis));
      const keyOf = (point: Point): string => JSON.stringify([...othersOf(point)]);
      const others = new Map(at(second).map((point) => [keyOf(point), point]));
      return at(first).map((point): Contrast => {
        const same = must(others.get(keyOf(point)), point.circuit);
        return { experiment, axis, name: `${axis}: ${text}`, axes: othersOf(point), first: point, second: same };
      });
    });
  });
}
