/** @file Figures of grids: faithfulness along an axis, a line or a panel for each value of the others; two long axes as a heatmap. */
import * as Plot from "@observablehq/plot";
import { bySize, contrastSeries, isSeries, type GridSeries, seriesOfGrid } from "./grid-series.js";
import { combinations, type GridLayout, isLogarithmic, layoutOf, type PlacedAxis, placeOn } from "./grid-layout.js";
import { spacedTicks } from "../../../report/axis-ticks.js";
import { drawPanel, type Figure, type Panel } from "../../../report/figure.js";
import { formatCount, formatNumber, formatShare } from "../../../report/format-number.js";
import { intervalNote } from "../../../report/interval-note.js";
import { NEGATIVE, POSITIVE, seriesStyle, shadeOf } from "../../../report/palette.js";
import type { AxisLabel, Grid } from "../grid.js";
import { type FigureSpec, isOnSets, SIZE_AXIS } from "../points.js";
import { listedExperiments } from "../spec.js";
import type { CircuitContents } from "./contents.js";
import type { GridRow } from "./grid-series.js";

/** Bounds of bands beyond this size do not widen an axis. */
const WIDEST = 1.5;
/** Values that an axis labels. */
const MOST_TICKS = 13;

/** A figure for each grid of the sweep, and for each contrast of one. */
export function gridFigures(contents: CircuitContents): Figure[] {
  const { clusters, plan } = contents;
  const contrasts = contrastSeries(contents);
  return listedExperiments(plan.sweep)
    .filter(isOnSets)
    .flatMap(({ name, grid, figure }): Figure[] => {
      const own = { id: `grid-${name}`, title: name, grid, series: seriesOfGrid(contents, name) };
      const differences = contrasts
        .filter(({ experiment }) => experiment === name)
        .map(({ axis, name: title, series }) => ({
          id: `grid-${name}-${axis}`,
          title: `${name}, ${title}`,
          grid: grid.filter(([other]) => other !== axis),
          series,
        }));
      return [own, ...differences].flatMap((one): Figure[] => {
        const asked = within(figure, one);
        const series = asked.x === SIZE_AXIS ? bySize(one.series) : one.series;
        const layout = layoutOf(
          one.grid,
          asked,
          series.rows.map(({ nodesKept }) => nodesKept),
        );
        return layout === null || !isSeries(series) ? [] : [gridFigure({ ...one, series, layout }, clusters)];
      });
    });
}

/** What a figure asks for of the axes that a contrast leaves; a difference is of two circuits, and has no number of nodes. */
function within(
  figure: FigureSpec | undefined,
  { grid, series }: { readonly grid: Grid; readonly series: GridSeries },
): FigureSpec {
  const has = (axis: string | undefined): boolean => grid.some(([name]) => name === axis);
  const hasSizes = series.measure !== "difference of faithfulness";
  return {
    ...figure,
    ...(has(figure?.x) || (figure?.x === SIZE_AXIS && hasSizes) ? {} : { x: undefined }),
    ...(has(figure?.lines) ? {} : { lines: undefined }),
  };
}

/** What a figure is of. */
interface GridPicture {
  readonly id: string;
  readonly title: string;
  readonly layout: GridLayout;
  readonly series: GridSeries;
}

/** What is shown, by measure. */
const SHOWN: Readonly<Record<GridSeries["measure"], string>> = {
  faithfulness:
    "Faithfulness is the share of the metric that is left, as a ratio of means over prompts (1: all of it, 0: as much as with everything ablated).",
  metric: "The metric is a mean over prompts, positive where the model is right; faithfulness is undefined here.",
  "difference of faithfulness":
    "Faithfulness with the first value less that with the second, over the same draws of prompts (above 0: the first leaves more).",
};

function gridFigure({ id, title, layout, series }: GridPicture, clusters: number): Figure {
  const axes = [layout.x, layout.y, layout.lines, ...layout.facets].filter((axis) => axis !== null);
  const note = intervalNote(clusters).slice(1, -1);
  const band =
    layout.y === null && note !== ""
      ? ` ${layout.x.isOrdered ? "Bands" : "Bars"}: ${note}, for each point by itself.`
      : "";
  const hasNodes = series.measure !== "difference of faithfulness";
  const hasBeside = layout.y === null && series.rows.some(({ beside }) => Number.isFinite(beside));
  const besideNote = hasBeside
    ? " Thin dotted lines are the sums of the scores of what is ablated, on the axis on the right."
    : "";
  const values = series.rows.map(({ value }) => value).filter(Number.isFinite);
  // Bands may leave the frame where they are wide.
  const bounds = series.rows.flatMap(({ low, high }) => [low, high]).filter((bound) => Math.abs(bound) < WIDEST);
  const top = series.measure === "faithfulness" ? 1 : 0;
  const range = [Math.min(0, ...values, ...bounds), Math.max(top, ...values, ...bounds)] as const;
  const largest = Math.max(...values.map((value) => Math.abs(value - series.base)));
  return {
    id,
    title,
    caption: `${SHOWN[series.measure]} ${readingOf(layout)}${band}${besideNote}`,
    panels: combinations(layout.facets).map((facet) => {
      const rows = series.rows.filter(({ axes: at }) => [...facet].every(([axis, value]) => at.get(axis) === value));
      const title = [...facet].map(([axis, value]) => `${axis}: ${value}`).join(", ") || series.measure;
      return layout.y === null
        ? linePanel(title, rows, layout, { series, range })
        : heatmapPanel(title, rows, { x: layout.x, y: layout.y }, { series, largest });
    }),
    columns: 2,
    legend: legendOf(layout, series, largest),
    table: {
      columns: [
        ...axes.map((axis) => axis.name),
        "circuit",
        series.measure,
        "low",
        "high",
        ...(hasNodes ? ["nodes_ablated", "nodes_restored"] : []),
        ...(hasBeside ? ["beside"] : []),
      ],
      rows: series.rows.map((row) => [
        ...axes.map((axis) => row.axes.get(axis.name) ?? null),
        row.circuit,
        row.value,
        row.low,
        row.high,
        ...(hasNodes ? [row.nodesAblated, row.nodesRestored] : []),
        ...(hasBeside ? [row.beside] : []),
      ]),
    },
  };
}

function readingOf({ x, y, lines, facets }: GridLayout): string {
  const panels = facets.length === 0 ? "" : ` A panel for each ${facets.map(({ name }) => name).join(" and ")}.`;
  if (y !== null) return `${x.name} runs along, ${y.name} upwards.${panels}`;
  return `${x.name} runs along${lines === null ? "" : `, with a line for each ${lines.name}`}.${panels}`;
}

function legendOf({ y, lines }: GridLayout, { measure, base }: GridSeries, largest: number): Figure["legend"] {
  if (y !== null)
    return {
      kind: "signed",
      label: base === 0 ? measure : `${measure} − ${String(base)}`,
      largest: formatNumber(largest),
    };
  if (lines === null) return null;
  return {
    kind: "series",
    entries: lines.values.map((value, i) => ({ label: `${lines.name}: ${value}`, ...seriesStyle(i) })),
  };
}

/** Labels of an axis that stand at their places. */
function ticksOf(axis: PlacedAxis): { readonly ticks: number[]; readonly tickFormat: (place: number) => string } {
  const places = axis.values.map((value) => placeOn(axis, value));
  if (axis.isMeasured === true) return roundTicks(axis, places);
  const digits = digitsApart(axis);
  const labels = new Map(places.map((place, i) => [place, labelOf(axis.values[i] ?? "", digits)]));
  const rising = places.toSorted((a, b) => a - b);
  return { ticks: spacedTicks(rising, MOST_TICKS), tickFormat: (place) => labels.get(place) ?? "" };
}

/** Powers of ten and their halves and fifths, where sizes are read on a logarithmic axis. */
function roundTicks(
  axis: PlacedAxis,
  places: readonly number[],
): { readonly ticks: number[]; readonly tickFormat: (place: number) => string } {
  const numbers = axis.values.map(Number);
  const [least, most] = [Math.min(...numbers), Math.max(...numbers)];
  if (!isLogarithmic(axis)) {
    const step = Math.max(1, Math.round((most - least) / 6));
    const ticks = Array.from({ length: 7 }, (_, i) => least + i * step).filter((tick) => tick <= most);
    return { ticks, tickFormat: (place) => formatCount(place) };
  }
  const decades = Math.ceil(Math.max(...places)) + 1;
  const round = Array.from({ length: decades }, (_, i) => [1, 2, 5].map((factor) => factor * Number(`1e${String(i)}`)))
    .flat()
    .filter((tick) => tick >= least && tick <= most);
  const at = new Map(round.map((tick) => [placeOn(axis, tick), tick]));
  return { ticks: [...at.keys()], tickFormat: (place) => formatCount(at.get(place) ?? 0) };
}

/** Digits of numbers on an axis, where two are enough, and the most that tell close ones apart. */
const DIGITS = [2, 3, 4, 5, 6];

/** The fewest digits with which no two values of an axis have one label. */
function digitsApart({ values }: PlacedAxis): number {
  const isApart = (digits: number): boolean =>
    new Set(values.map((value) => labelOf(value, digits))).size === values.length;
  return DIGITS.find(isApart) ?? Math.max(...DIGITS);
}

function labelOf(value: AxisLabel, digits = 2): string {
  if (typeof value === "string") return value;
  return Number.isInteger(value) ? String(value) : formatNumber(value, digits);
}

function linePanel(
  title: string,
  rows: readonly GridRow[],
  { x, lines }: GridLayout,
  { series, range: [low, high] }: { readonly series: GridSeries; readonly range: readonly [number, number] },
): Panel {
  const margin = 0.06 * (high - low);
  const places = x.values.map((value) => placeOn(x, value));
  const [first, last] = [Math.min(...places), Math.max(...places)];
  const slack = isLogarithmic(x) ? 0 : 0.04 * (last - first);
  const sums = rightAxis(series.rows, [low, high]);
  return drawPanel(title, [], {
    width: 420,
    height: 280,
    marginLeft: 42,
    marginTop: 20,
    marginBottom: 44,
    marginRight: sums === null ? 16 : 48,
    x: {
      type: "linear",
      domain: [first - slack, last + slack],
      ...ticksOf(x),
      ...(x.values.some((value) => String(value).length > 3) ? { tickRotate: -30 } : {}),
      label: `${x.name} →`,
      labelAnchor: "right",
      tickSize: 3,
    },
    y: { domain: [low - margin, high + margin], label: `↑ ${series.measure}`, ticks: 6, tickSize: 3, grid: true },
    marks: [
      Plot.ruleY(
        [0, series.base].filter((line) => line >= low && line <= high),
        { strokeOpacity: 0.6, strokeDasharray: "2 3" },
      ),
      ...(lines?.values ?? [null]).flatMap((value, i) =>
        curve(
          rows.filter((row) => lines === null || row.axes.get(lines.name) === value),
          x,
          seriesStyle(i),
        ),
      ),
      ...(sums === null ? [] : sumMarks(rows, { x, lines }, sums)),
    ],
  });
}

/** A second scale on the same panel. */
interface RightAxis {
  readonly ticks: readonly number[];
  /** From a sum to where it stands on the left axis. */
  readonly place: (sum: number) => number;
}

/** The scale of the sums of all panels; null where there are none. */
function rightAxis(rows: readonly GridRow[], [low, high]: readonly [number, number]): RightAxis | null {
  const sums = rows.map(({ beside }) => beside).filter(Number.isFinite);
  if (sums.length === 0) return null;
  const [least, most] = [Math.min(0, ...sums), Math.max(0, ...sums)];
  const span = most - least || 1;
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => least + share * span);
  return { ticks, place: (sum) => low + ((sum - least) / span) * (high - low) };
}

/** Where a row stands along an axis. */
function placeAlong(x: PlacedAxis): (row: GridRow) => number {
  return ({ axes }) => placeOn(x, axes.get(x.name) ?? "");
}

function sumMarks(
  rows: readonly GridRow[],
  { x, lines }: Pick<GridLayout, "x" | "lines">,
  { ticks, place }: RightAxis,
): Plot.Markish[] {
  const at = placeAlong(x);
  const known = rows.filter(({ beside }) => Number.isFinite(beside)).toSorted((a, b) => at(a) - at(b));
  return [
    Plot.text([...ticks], {
      y: place,
      text: (sum: number) => formatNumber(sum, 2),
      frameAnchor: "right",
      textAnchor: "start",
      dx: 6,
      fontSize: 10,
      fillOpacity: 0.75,
    }),
    Plot.text(["sum of scores"], {
      frameAnchor: "top-right",
      textAnchor: "end",
      dx: 44,
      dy: -14,
      fontSize: 10,
      fillOpacity: 0.75,
    }),
    ...(lines?.values ?? [null]).map((value, i) =>
      Plot.line(
        known.filter((row) => lines === null || row.axes.get(lines.name) === value),
        {
          x: at,
          y: ({ beside }: GridRow) => place(beside),
          stroke: seriesStyle(i).color,
          strokeWidth: 1,
          strokeDasharray: "1 3",
        },
      ),
    ),
  ];
}

function curve(
  rows: readonly GridRow[],
  x: PlacedAxis,
  { color, dash }: ReturnType<typeof seriesStyle>,
): Plot.Markish[] {
  const place = placeAlong(x);
  const known = rows.filter(({ value }) => Number.isFinite(value)).toSorted((a, b) => place(a) - place(b));
  const banded = known.filter(({ low, high }) => Number.isFinite(low + high));
  const mark = { x: place, y: "value" };
  const bounds = { x: place, y1: "low", y2: "high" };
  return [
    // Names have no order, so nothing joins them.
    ...(x.isOrdered
      ? [
          Plot.areaY(banded, { ...bounds, fill: color, fillOpacity: 0.15, clip: true }),
          Plot.line(known, { ...mark, stroke: color, strokeWidth: 1.8, strokeDasharray: dash }),
        ]
      : [Plot.ruleX(banded, { ...bounds, stroke: color, strokeOpacity: 0.5, strokeDasharray: dash, clip: true })]),
    Plot.dot(known, { ...mark, r: 2.6, fill: color, title: textOf }),
  ];
}

function textOf({ axes, ...bounds }: GridRow): string {
  return [[...axes].map(([axis, value]) => `${axis} ${labelOf(value)}`).join(", "), formatShare(bounds)].join("\n");
}

function heatmapPanel(
  title: string,
  rows: readonly GridRow[],
  { x, y }: { readonly x: PlacedAxis; readonly y: PlacedAxis },
  { series: { base }, largest }: { readonly series: GridSeries; readonly largest: number },
): Panel {
  const cells = rows.filter(({ value }) => Number.isFinite(value));
  const band = {
    type: "band",
    tickSize: 0,
    padding: 0.04,
    tickFormat: (value: AxisLabel) => labelOf(value, Math.max(digitsApart(x), digitsApart(y))),
  } as const;
  const roomy = x.values.length <= 14;
  const at = (axis: PlacedAxis) => (row: GridRow) => row.axes.get(axis.name);
  return drawPanel(title, [], {
    width: Math.max(420, 60 + 34 * Math.min(x.values.length, 24)),
    height: 70 + 24 * y.values.length,
    marginLeft: 60,
    marginTop: 20,
    marginBottom: 50,
    marginRight: 10,
    x: { ...band, domain: [...x.values], tickRotate: -30, label: `${x.name} →`, labelAnchor: "right" },
    y: { ...band, domain: y.values.toReversed(), label: `↑ ${y.name}`, labelAnchor: "top" },
    marks: [
      Plot.cell(cells, { x: at(x), y: at(y), fill: "currentColor", fillOpacity: 0.05 }),
      Plot.cell(cells, {
        x: at(x),
        y: at(y),
        fill: ({ value }: GridRow) => (value < base ? NEGATIVE : POSITIVE),
        fillOpacity: ({ value }: GridRow) => Number(shadeOf(value - base, largest).toFixed(3)),
        title: textOf,
      }),
      roomy
        ? Plot.text(cells, {
            x: at(x),
            y: at(y),
            text: ({ value }: GridRow) => formatShare({ value, low: null, high: null }).replace(/^(−?)0\./, "$1."),
            fontSize: 9,
            fillOpacity: 0.9,
          })
        : null,
    ],
  });
}
