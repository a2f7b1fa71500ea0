/** @file What a grid came to, a sentence for each: the least and the most that is left, and where. */
import { formatCount, formatShare } from "../../../report/format-number.js";
import { type Markup, markup } from "../../../report/markup.js";
import { experimentsOnSets } from "../points.js";
import type { CircuitContents } from "./contents.js";
import { type GridRow, seriesOfGrid } from "./grid-series.js";

/** Grids that are told of; those of more experiments are in the figures alone. */
const MOST_ANSWERS = 3;

/**
 * The extremes of each grid. They are picked from all of its points, so they have no interval of their own and none is printed. Points that
 * keep nothing, where a set is kept, say nothing.
 */
export function gridAnswers(contents: CircuitContents): Markup[] {
  const experiments = experimentsOnSets(contents.plan.sweep).filter(({ grid }) => grid.length > 0);
  const answers = experiments.slice(0, MOST_ANSWERS).flatMap(({ name, keep }): Markup[] => {
    const { measure, rows } = seriesOfGrid(contents, name);
    const known = rows
      .filter(({ value, nodesKept }) => Number.isFinite(value) && (keep === undefined || nodesKept > 0))
      .toSorted((a, b) => a.value - b.value);
    const [least, most] = [known[0], known.at(-1)];
    if (least === undefined || most === undefined || least === most || measure !== "faithfulness") return [];
    return [
      markup`<strong>${name}</strong>: over ${formatCount(known.length)} points faithfulness goes from <strong>${shareOf(least)}</strong> (${placeOf(least)}) to <strong>${shareOf(most)}</strong> (${placeOf(most)}).`,
    ];
  });
  const last = answers.pop();
  return last === undefined
    ? []
    : [...answers, markup`${last} Extremes of many estimates have no interval of their own, and none is given.`];
}

function shareOf({ value }: GridRow): string {
  return formatShare({ value, low: null, high: null });
}

function placeOf({ axes }: GridRow): string {
  return [...axes]
    .map(([axis, value]) => `${axis} ${typeof value === "number" ? String(Number(value.toPrecision(3))) : value}`)
    .join(", ");
}
