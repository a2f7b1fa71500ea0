/** @file Prompts that stand out: how the metric and each prompt's own faithfulness are distributed, and the prompts at both ends. */
import * as Plot from "@observablehq/plot";
import { drawPanel, type Figure, type Panel } from "../../../report/figure.js";
import { formatNumber, formatPercent, formatShare } from "../../../report/format-number.js";
import type { Markup } from "../../../report/markup.js";
import { seriesStyle } from "../../../report/palette.js";
import { htmlTable, numberColumn, textColumn } from "../../../report/table.js";
import type { RunContents } from "../../../report/run-contents.js";
import type { CircuitPrompts, MeasuredPrompt } from "./prompt-metrics.js";

/** Bars of a distribution. */
const BINS = 40;
/** Prompts at each end that are named. */
const EXTREMES = 8;
/** Nine in ten of a distribution: as much again is shown on either side. A prompt whose denominator is nearly 0 may be anywhere. */
const MOST = [0.05, 0.95] as const;
const SHARE =
  "How the prompts' metrics are distributed, in the evaluator's sign (positive: the right answer), and the share of its own metric that the " +
  "circuit recovers of each. A prompt on which the full model is hardly better than the empty circuit divides by nearly nothing: its share " +
  "may be any number, which is why faithfulness elsewhere is a ratio of means.";
const NO_SHARE =
  "How the prompts' metrics are distributed, in the evaluator's sign (positive: the right answer). On every prompt the full model and the " +
  "empty circuit have the same metric, so there is no share that the circuit recovers.";
const METRICS = [
  ["m(M), the full model", "full"],
  ["m(C), the circuit", "circuit"],
  ["m(empty), the empty circuit", "empty"],
] as const;

/** A figure for each circuit whose prompts are shown. */
export function outlierFigures(circuits: readonly CircuitPrompts[]): Figure[] {
  return circuits.map(({ circuit, rows }, i) => ({
    id: `prompts-${String(i + 1)}`,
    title: `Prompts one by one: ${circuit}`,
    caption: hasShare(rows) ? SHARE : NO_SHARE,
    panels: [metricPanel(rows), ...(hasShare(rows) ? [faithfulnessPanel(rows)] : [])],
    columns: 2,
    legend: { kind: "series", entries: METRICS.map(([label], at) => ({ label, ...seriesStyle(at) })) },
    table: {
      columns: ["prompt", "side", "metric_full", "metric_circuit", "metric_empty", "faithfulness"],
      rows: rows.map((row) => [row.prompt, row.side, row.full, row.circuit, row.empty, row.faithfulness]),
    },
  }));
}

/** Whether faithfulness is defined for any prompt. */
function hasShare(rows: readonly MeasuredPrompt[]): boolean {
  return rows.some(({ faithfulness }) => Number.isFinite(faithfulness));
}

/** Counts within equal steps from the least to the most. */
function steps(values: readonly number[], [least, most]: readonly [number, number]): { x: number; count: number }[] {
  const width = (most - least) / BINS || 1;
  const counts = new Uint32Array(BINS);
  for (const value of values) {
    if (value < least || value > most) continue;
    const bin = Math.min(BINS - 1, Math.floor((value - least) / width));
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return Array.from(counts, (count, bin) => ({ x: least + (bin + 0.5) * width, count }));
}

function metricPanel(rows: readonly MeasuredPrompt[]): Panel {
  const all = METRICS.flatMap(([, metric]) => rows.map((row) => row[metric])).filter(Number.isFinite);
  const range = [
    all.reduce((a, b) => Math.min(a, b), Infinity),
    all.reduce((a, b) => Math.max(a, b), -Infinity),
  ] as const;
  const notes = METRICS.map(([label, metric]) => `${label}: ${spread(rows.map((row) => row[metric]))}`);
  const series = METRICS.map(([, metric]) =>
    steps(
      rows.map((row) => row[metric]),
      range,
    ),
  );
  return histogram({ title: "Metric", notes, label: "metric", series, rules: [0] });
}

function faithfulnessPanel(rows: readonly MeasuredPrompt[]): Panel {
  const known = sorted(rows.map(({ faithfulness }) => faithfulness));
  const [least, most] = [quantile(known, MOST[0]), quantile(known, MOST[1])];
  const low = Math.min(0, Math.max(quantile(known, 0), 2 * least - most));
  const high = Math.max(1, Math.min(quantile(known, 1), 2 * most - least));
  const outside = known.filter((value) => value < low || value > high).length;
  const notes = [
    spread(known),
    `below 0: ${shareOf(known, (value) => value < 0)}; above 1: ${shareOf(known, (value) => value > 1)}`,
    ...(outside === 0 ? [] : [`${String(outside)} beyond the axis`]),
  ];
  const series = [steps(known, [low, high])];
  return histogram({ title: "Faithfulness of each prompt", notes, label: "faithfulness", series, rules: [0, 1] });
}

/** What a distribution is of, and the lines of counts. */
interface Histogram {
  readonly title: string;
  readonly notes: readonly string[];
  readonly label: string;
  readonly series: readonly { x: number; count: number }[][];
  /** Values that are marked. */
  readonly rules: readonly number[];
}

function histogram({ title, notes, label, series, rules }: Histogram): Panel {
  return drawPanel(title, notes, {
    width: 420,
    height: 240,
    marginLeft: 42,
    marginTop: 20,
    marginBottom: 40,
    x: { label: `${label} →`, labelAnchor: "right", ticks: 7, tickSize: 3 },
    y: { label: "↑ rows", ticks: 5, tickSize: 3, grid: true },
    marks: [
      Plot.ruleX(rules, { strokeOpacity: 0.6, strokeDasharray: "2 3" }),
      ...series.flatMap((bins, i) => {
        const { color, dash } = seriesStyle(i);
        const at = { x: "x", y: "count", curve: "step" as const };
        return [
          Plot.areaY(bins, { ...at, fill: color, fillOpacity: 0.12 }),
          Plot.line(bins, { ...at, stroke: color, strokeWidth: 1.6, strokeDasharray: dash }),
        ];
      }),
      Plot.ruleY([0], { strokeOpacity: 0.6 }),
    ],
  });
}

function sorted(values: readonly number[]): number[] {
  return values.filter(Number.isFinite).sort((a, b) => a - b);
}

/** The value that a share of the sorted ones lies below. */
function quantile(values: readonly number[], share: number): number {
  return values[Math.round(share * (values.length - 1))] ?? Number.NaN;
}

function spread(values: readonly number[]): string {
  const known = sorted(values);
  const [low, middle, high] = [MOST[0], 0.5, MOST[1]].map((share) => formatNumber(quantile(known, share), 2));
  return `median ${middle ?? ""}; nine in ten from ${low ?? ""} to ${high ?? ""}`;
}

function shareOf(values: readonly number[], holds: (value: number) => boolean): string {
  return formatPercent(values.length === 0 ? null : values.filter(holds).length / values.length, 0);
}

/** The prompts with the least and the most faithfulness of each circuit. */
export function outlierTables(
  circuits: readonly CircuitPrompts[],
  { prompts }: Pick<RunContents, "prompts">,
): Markup[] {
  const shown = circuits.filter(({ rows }) => hasShare(rows));
  return shown.map(({ circuit, rows }) => {
    const known = rows
      .filter(({ faithfulness }) => Number.isFinite(faithfulness))
      .sort((a, b) => a.faithfulness - b.faithfulness || a.prompt - b.prompt);
    const ends = known.length <= 2 * EXTREMES ? known : [...known.slice(0, EXTREMES), ...known.slice(-EXTREMES)];
    const textOf = ({ prompt, side }: MeasuredPrompt): string => {
      const text = prompts?.[prompt]?.text;
      return (side === "corrupted" ? text?.corrupted?.text : text?.clean.text) ?? "";
    };
    return htmlTable(
      `Prompts at both ends of faithfulness: ${circuit}`,
      [
        textColumn("prompt"),
        numberColumn("line"),
        textColumn("side"),
        ...METRICS.map(([label]) => numberColumn(label.split(",")[0] ?? label)),
        numberColumn("faithfulness"),
      ],
      ends.map((row) => [
        textOf(row),
        String(prompts?.[row.prompt]?.ids.line ?? ""),
        row.side,
        ...METRICS.map(([, metric]) => formatNumber(row[metric])),
        formatShare({ value: row.faithfulness, low: null, high: null }),
      ]),
    );
  });
}
