/** @file Faithfulness and completeness against circuit size, one curve for each variant. */
import * as Plot from "@observablehq/plot";
import { drawPanel, type Figure, type Panel } from "../../../report/figure.js";
import { formatNumber, formatShare } from "../../../report/format-number.js";
import { intervalNote } from "../../../report/interval-note.js";
import { seriesStyle } from "../../../report/palette.js";
import type { CircuitContents } from "./contents.js";
import { passingNote } from "./above-full.js";
import { isUndefined } from "./undefined-ratios.js";
import { VARIANT_NAMES, sizeOf, thresholdCircuits, type CircuitRow } from "./circuit-row.js";

/** The figure, or none where the run holds no threshold circuits. */
export function circuitFigures({ circuits, clusters }: CircuitContents): Figure[] {
  const rows = thresholdCircuits(circuits);
  const first = rows[0];
  if (first === undefined || isUndefined(rows)) return [];
  const variants = Object.keys(VARIANT_NAMES).filter((variant) => rows.some((row) => row.variant === variant));
  const hasComplement = rows.some(({ completeness }) => Number.isFinite(completeness));
  const kept = first.keep === "absolute" ? "|score| ≥ t" : "score ≥ t";
  return [
    {
      id: "faithfulness",
      title: "Faithfulness against circuit size",
      caption:
        `Each point is a circuit: the nodes with ${kept}; all others are ablated (${first.ablation}). Faithfulness is the share of the metric that the circuit recovers, as a ratio of means over prompts ` +
        "(1: all of it, 0: as much as the empty circuit). Above 1 a circuit has more of the metric than the full model: the nodes that it leaves out, taken together, lower it." +
        bandNote(clusters) +
        (hasComplement
          ? " Completeness is the same of the complement, with the circuit's nodes ablated: near 0 where the circuit holds everything that matters. Its axis is as long as its values need."
          : "") +
        " Circuits without nodes are in the table only.",
      panels: [
        curvePanel("Faithfulness", rows, variants, "faithfulness"),
        ...(hasComplement ? [curvePanel("Completeness (of the complement)", rows, variants, "completeness")] : []),
      ],
      columns: 2,
      legend: {
        kind: "series",
        entries: variants.map((variant, i) => ({ label: VARIANT_NAMES[variant] ?? variant, ...seriesStyle(i) })),
      },
      table: {
        columns: [
          "circuit",
          "variant",
          "threshold",
          "nodes",
          "faithfulness",
          "low",
          "high",
          "faithfulness_mean",
          "completeness",
          "completeness_low",
          "completeness_high",
        ],
        rows: rows.map((row) => [
          row.circuit,
          row.variant,
          row.threshold,
          sizeOf(row),
          row.faithfulness,
          row.faithfulnessLow,
          row.faithfulnessHigh,
          row.faithfulnessMean,
          row.completeness,
          row.completenessLow,
          row.completenessHigh,
        ]),
      },
    },
  ];
}

/** What the bands are, where there are any. */
function bandNote(clusters: number): string {
  const note = intervalNote(clusters).slice(1, -1);
  return note === "" ? "" : ` Bands: ${note}, for each circuit by itself.`;
}

/** Completeness up to which its axis reaches at least. */
const LEAST_TOP = 0.1;

/** A circuit's place on a curve. */
interface Point {
  readonly size: number;
  readonly variant: number;
  readonly threshold: number;
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

function curvePanel(
  title: string,
  rows: readonly CircuitRow[],
  variants: readonly string[],
  measure: "faithfulness" | "completeness",
): Panel {
  const points = rows
    .map((row): Point => ({
      size: sizeOf(row),
      variant: variants.indexOf(row.variant),
      threshold: row.threshold,
      value: row[measure],
      low: row[`${measure}Low`],
      high: row[`${measure}High`],
    }))
    .filter(({ size, value }) => size > 0 && Number.isFinite(value))
    .sort((a, b) => a.size - b.size);
  // Bands may leave the frame, but not by so much that the curves shrink.
  const bands = points.flatMap((point) => [point.low, point.high]).filter((bound) => bound > -0.5 && bound < 1.5);
  const values = [...points.map(({ value }) => value), ...bands];
  // What is left without a circuit is often near nothing: on an axis up to 1 it could not be read.
  const top = measure === "faithfulness" ? 1 : LEAST_TOP;
  const [low, high] = [Math.min(0, ...values), Math.max(top, ...values)];
  const margin = 0.06 * (high - low);
  const notes = measure === "faithfulness" ? variants.map((variant) => passingNote(rows, variant)) : [];
  return drawPanel(title, notes, {
    width: 420,
    height: 300,
    marginLeft: 42,
    marginTop: 20,
    marginBottom: 38,
    marginRight: 12,
    x: {
      type: "log",
      label: "nodes in the circuit →",
      labelAnchor: "right",
      tickSize: 3,
      ticks: 5,
      tickFormat: formatPower,
    },
    y: { domain: [low - margin, high + margin], label: `↑ ${measure}`, ticks: 6, tickSize: 3, grid: true },
    marks: [
      Plot.ruleY(
        [0, 1].filter((line) => line <= high),
        { strokeOpacity: 0.6, strokeDasharray: "2 3" },
      ),
      Plot.text(
        [1].filter((line) => line <= high),
        {
          y: (line: number) => line,
          text: () => "full model",
          frameAnchor: "left",
          textAnchor: "start",
          dx: 4,
          dy: -6,
          fontSize: 10,
          fillOpacity: 0.75,
        },
      ),
      ...variants.flatMap((_, i) =>
        curve(
          points.filter(({ variant }) => variant === i),
          seriesStyle(i),
        ),
      ),
    ],
  });
}

function curve(points: readonly Point[], { color, dash }: ReturnType<typeof seriesStyle>): Plot.Markish[] {
  const banded = points.filter(({ low, high }) => Number.isFinite(low) && Number.isFinite(high));
  return [
    Plot.areaY(banded, { x: "size", y1: "low", y2: "high", fill: color, fillOpacity: 0.15, clip: true }),
    Plot.line([...points], { x: "size", y: "value", stroke: color, strokeWidth: 1.8, strokeDasharray: dash }),
    Plot.dot([...points], {
      x: "size",
      y: "value",
      r: 2.6,
      fill: color,
      title: ({ size, threshold, value, low, high }: Point) =>
        `${String(size)} nodes (threshold ${formatNumber(threshold)})\n${formatShare({ value, low, high })}`,
    }),
  ];
}

/** Powers of ten in full, other ticks without a label. */
function formatPower(value: number): string {
  return Number.isInteger(Math.log10(value)) ? String(value) : "";
}
