/** @file Differences as a figure: a dot with its interval for each, around 0. */
import * as Plot from "@observablehq/plot";
import { KINDS } from "../nodes/kinds.js";
import { VARIANT_NAMES } from "../experiments/circuits/report/circuit-row.js";
import { drawPanel, type Figure, type Panel } from "../report/figure.js";
import { formatInterval } from "../report/format-number.js";
import { seriesStyle } from "../report/palette.js";
import type { Interval } from "../stats/bootstrap.js";
import type { ComparedStatistic } from "./agreement-differences.js";
import { MEASURES, type CircuitDifference } from "./circuit-differences.js";
import type { Comparison } from "./comparison.js";
import { DIFFERENCE, noteOf, pairLabel, STATISTIC_NAMES } from "./comparison-tables.js";

/** Pixels of the axes without the rows' names, of a row, and above and below all rows. */
const [WIDTH, ROW_HEIGHT, HEAD, FOOT] = [300, 16, 12, 40];
/** Pixels of a letter of a row's name. */
const LETTER = 6.2;

/** A difference in a panel. */
interface Row {
  readonly label: string;
  /** Which estimators or circuits it is of: a colour for each. */
  readonly series: string;
  readonly difference: Interval;
}

/** The figure; a panel for each statistic, and for each ratio of circuits. */
export function differenceFigure(comparison: Comparison, title: string): Figure {
  const named = [...agreementPanels(comparison), ...circuitPanels(comparison)];
  return {
    id: "differences",
    title: `${title}${noteOf(comparison.clusters)}`,
    caption:
      `Each dot is ${DIFFERENCE}, and its line the interval. Both sides share every resample of the prompts. ` +
      "Where the line holds 0 the two are not told apart. A dot without a line has no interval, and a row without a dot is undefined.",
    panels: named.map(({ name, rows }) => panel(name, rows)),
    columns: 2,
    legend: null,
    table: {
      columns: ["panel", "row", "series", "difference", "low", "high"],
      rows: named.flatMap(({ name, rows }) =>
        rows.map(({ label, series: of, difference: { value, low, high } }) => [name, label, of, value, low, high]),
      ),
    },
  };
}

interface NamedRows {
  readonly name: string;
  readonly rows: readonly Row[];
}

function agreementPanels({ agreement }: Comparison): NamedRows[] {
  const statistics = [...new Set(agreement.map(({ statistic }) => statistic))];
  return statistics.map((statistic: ComparedStatistic) => ({
    name: STATISTIC_NAMES[statistic],
    rows: agreement
      .filter((one) => one.statistic === statistic)
      .map(({ family: { kind, site, global }, scores, difference }) => ({
        label: `${KINDS[kind].plural}, ${site}${global ? ", all at once" : ""}`,
        series: pairLabel(scores),
        difference,
      })),
  }));
}

function circuitPanels({ circuits }: Comparison): NamedRows[] {
  return MEASURES.map((measure) => ({
    name: measure,
    rows: circuits.filter((one) => one.measure === measure).map(circuitRow),
  })).filter(({ rows }) => rows.some(({ difference }) => difference.value !== null));
}

function circuitRow({ circuit, threshold, difference }: CircuitDifference): Row {
  const isExperiment = Number.isNaN(threshold);
  return {
    label: isExperiment ? circuit : `at least ${thresholdText(threshold)}`,
    series: isExperiment ? "experiments" : (VARIANT_NAMES[circuit] ?? circuit),
    difference,
  };
}

/** Four digits, so that close thresholds have rows of their own, without the zeros at their end. */
function thresholdText(threshold: number): string {
  return String(Number(threshold.toPrecision(4))).replaceAll("-", "−");
}

function panel(name: string, rows: readonly Row[]): Panel {
  const series = [...new Set(rows.map((row) => row.series))];
  const labels = rows.map(labelOf);
  const dots = rows.flatMap((row) => dotOf(row, seriesStyle(series.indexOf(row.series)).color));
  const reach = dots.flatMap(({ low, high }) => [Math.abs(low), Math.abs(high)]);
  // Differences that are all 0 have an axis too.
  const most = 1.05 * Math.max(...reach) || 1;
  const marginLeft = 12 + LETTER * Math.max(...labels.map(({ length }) => length));
  return drawPanel(`${name}, ${DIFFERENCE}`, [], {
    width: marginLeft + WIDTH,
    height: HEAD + FOOT + ROW_HEIGHT * labels.length,
    marginLeft,
    marginTop: HEAD,
    marginBottom: FOOT,
    marginRight: 24,
    x: { domain: [-most, most], label: `${DIFFERENCE} →`, labelAnchor: "right", ticks: 5, tickSize: 3, grid: true },
    y: { type: "band", domain: labels, label: null, tickSize: 0 },
    marks: [
      Plot.ruleX([0], { strokeOpacity: 0.6 }),
      Plot.ruleY(dots, { y: "label", x1: "low", x2: "high", stroke: "color", strokeWidth: 1.8 }),
      Plot.dot(dots, { y: "label", x: "value", r: 3, fill: "color", title: "text" }),
    ],
  });
}

function labelOf({ label, series }: Row): string {
  return `${label} · ${series}`;
}

function dotOf(row: Row, color: string) {
  const { value, low, high } = row.difference;
  if (value === null) return [];
  const label = labelOf(row);
  const text = `${label}\n${formatInterval({ value, low, high })}`;
  return [{ label, color, value, low: low ?? value, high: high ?? value, text }];
}
