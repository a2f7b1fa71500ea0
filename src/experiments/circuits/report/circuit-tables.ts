/** @file What circuits are made of, threshold by threshold, and custom configurations. */
import type { CircuitContents } from "./contents.js";
import { htmlTable, numberColumn, stacked, textColumn, type Table } from "../../../report/table.js";
import { formatCount, formatNumber, formatPercent, formatShare } from "../../../report/format-number.js";
import { intervalNote } from "../../../report/interval-note.js";
import { markup, type Markup } from "../../../report/markup.js";
import { pointsOf } from "../points.js";
import { sizeOf, thresholdCircuits, type CircuitRow, VARIANT_NAMES } from "./circuit-row.js";

/** What a circuit's nodes are, and what they are called. */
const SAE_KINDS = [
  ["features", "features"],
  ["errorsResid", "resid errors"],
  ["errorsOther", "other errors"],
] as const;
const PLAIN_KINDS = [
  ["sites", "whole sites"],
  ["heads", "heads"],
] as const;
const NEURON_KINDS = [["neurons", "neurons"]] as const;

/** The kinds that the circuits of a run are made of: its SAEs' nodes, sites and heads, or neurons. */
function kindsOf(
  rows: readonly CircuitRow[],
): readonly (typeof SAE_KINDS | typeof PLAIN_KINDS | typeof NEURON_KINDS)[number][] {
  if (rows.some(({ neurons }) => neurons > 0)) return NEURON_KINDS;
  return rows.some(({ sites, heads }) => sites + heads > 0) ? PLAIN_KINDS : SAE_KINDS;
}

/** One row for each threshold, with the faithfulness of every variant; null where the run holds no circuits. */
export function compositionTable({ circuits, clusters }: CircuitContents): Markup | null {
  const rows = thresholdCircuits(circuits);
  if (rows.length === 0) return null;
  const variants = Object.keys(VARIANT_NAMES).filter((variant) => rows.some((row) => row.variant === variant));
  const kinds = kindsOf(rows);
  const base = rows.filter(({ variant }) => variant === variants[0]);
  return htmlTable(
    `Nodes kept at each threshold (${VARIANT_NAMES[variants[0] ?? ""] ?? ""}) and faithfulness ${intervalNote(clusters)}`,
    [
      numberColumn("threshold"),
      numberColumn("nodes"),
      ...kinds.map(([, label]) => numberColumn(label)),
      ...variants.map((variant) => numberColumn(markup`faithful, ${VARIANT_NAMES[variant] ?? variant}`)),
      numberColumn("mean of ratios"),
      numberColumn("complement"),
    ],
    base.map((row) => [
      formatNumber(row.threshold),
      formatCount(sizeOf(row)),
      ...kinds.map(
        ([key]) =>
          markup`${formatCount(row[key])}<span class="sub">${formatPercent(sizeOf(row) === 0 ? null : row[key] / sizeOf(row))}</span>`,
      ),
      ...variants.map((variant) => {
        const found = rows.find((one) => one.variant === variant && one.threshold === row.threshold);
        return found === undefined ? "" : stacked(faithfulnessOf(found));
      }),
      row.undefinedBecause === ""
        ? formatShare({ value: row.faithfulnessMean, low: null, high: null })
        : UNDEFINED_RATIO,
      stacked(completenessOf(row)),
    ]),
  );
}

/** Custom ablate and restore configurations, or null where the run holds none. */
export function experimentTable({ plan, circuits, clusters }: CircuitContents): Markup | null {
  // The points of a grid have a figure, and its table.
  const drawn = new Set(pointsOf(plan.sweep).flatMap(({ circuit, axes }) => (axes.size > 0 ? [circuit] : [])));
  const rows = (circuits ?? []).filter(({ circuit, variant }) => !(variant in VARIANT_NAMES) && !drawn.has(circuit));
  if (rows.length === 0) return null;
  const kinds = kindsOf(rows);
  return htmlTable(
    `Custom configurations and their faithfulness ${intervalNote(clusters)}`,
    [
      textColumn("name"),
      textColumn("ablation"),
      ...kinds.map(([, label]) => numberColumn(`${label} live`)),
      numberColumn("metric"),
      numberColumn("unablated"),
      numberColumn("faithful"),
    ],
    rows.map((row) => [
      row.circuit,
      row.ablation,
      ...kinds.map(([key]) => formatCount(row[key])),
      formatNumber(row.metricCircuit),
      formatNumber(row.metricFull),
      stacked(faithfulnessOf(row)),
    ]),
  );
}

/** Counts and shares of every circuit, for `report/composition.csv`. */
export function compositionCsv({ circuits }: CircuitContents): Table {
  const share = (count: number, row: CircuitRow): number => count / sizeOf(row);
  return {
    columns: [
      "circuit",
      "variant",
      "threshold",
      "keep",
      "ablation",
      "n_features",
      "n_errors_resid",
      "n_errors_other",
      "n_sites",
      "n_heads",
      "n_neurons",
      "share_features",
      "share_errors_resid",
      "share_errors_other",
      "share_sites",
      "share_heads",
      "share_neurons",
      "faithfulness",
      "faithfulness_low",
      "faithfulness_high",
      "faithfulness_mean",
      "faithfulness_simultaneous_low",
      "faithfulness_simultaneous_high",
      "completeness",
      "undefined_because",
    ],
    rows: (circuits ?? []).map((row) => [
      row.circuit,
      row.variant,
      row.threshold,
      row.keep,
      row.ablation,
      row.features,
      row.errorsResid,
      row.errorsOther,
      row.sites,
      row.heads,
      row.neurons,
      share(row.features, row),
      share(row.errorsResid, row),
      share(row.errorsOther, row),
      share(row.sites, row),
      share(row.heads, row),
      share(row.neurons, row),
      row.faithfulness,
      row.faithfulnessLow,
      row.faithfulnessHigh,
      row.faithfulnessMean,
      row.simultaneous.faithfulnessLow,
      row.simultaneous.faithfulnessHigh,
      row.completeness,
      row.undefinedBecause,
    ]),
  };
}

/** Stands for a share of what is not told from nothing. */
const UNDEFINED_RATIO = "undefined";

/** `0.83 [0.79, 0.87]`. */
export function faithfulnessOf(row: CircuitRow): string {
  if (row.undefinedBecause !== "") return UNDEFINED_RATIO;
  return formatShare({ value: row.faithfulness, low: row.faithfulnessLow, high: row.faithfulnessHigh });
}

/** The complement's `0.05 [0.01, 0.09]`. */
export function completenessOf(row: CircuitRow): string {
  if (row.undefinedBecause !== "") return UNDEFINED_RATIO;
  return formatShare({ value: row.completeness, low: row.completenessLow, high: row.completenessHigh });
}
