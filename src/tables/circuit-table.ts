/** @file The threshold circuits of a run: how many nodes each keeps, and what its variants restore. */
import { must } from "../base/assert.js";
import { type CircuitRow, thresholdCircuits, VARIANT_NAMES } from "../experiments/circuits/report/circuit-row.js";
import { bounded, shownAs, type Cell, type Section } from "./table.js";

/** The numbers of nodes that a circuit keeps. One is a column where some circuit keeps such a node. */
const SIZES: Readonly<Record<string, (circuit: CircuitRow) => number>> = {
  features: ({ features }) => features,
  "errors of `resid_post`": ({ errorsResid }) => errorsResid,
  "errors of the others": ({ errorsOther }) => errorsOther,
  sites: ({ sites }) => sites,
  heads: ({ heads }) => heads,
  neurons: ({ neurons }) => neurons,
};

/** A row for each threshold; null where the run has no circuits of thresholds. */
export function circuitSection(rows: readonly CircuitRow[]): Section | null {
  const circuits = thresholdCircuits(rows);
  const variants = [...new Set(circuits.map(({ variant }) => variant))];
  const main = variants.find((variant) => variant === "all") ?? variants[0];
  if (main === undefined) return null;
  const sizes = Object.entries(SIZES).filter(([, sizeIn]) => circuits.some((circuit) => sizeIn(circuit) > 0));
  const table = {
    title: `Faithfulness by variant, completeness of \`${main}\``,
    columns: [
      "score at least",
      ...sizes.map(([label]) => label),
      ...variants.map((variant) => must(VARIANT_NAMES[variant], variant)),
      "completeness",
    ],
    rows: circuits
      .filter(({ variant }) => variant === main)
      .map((circuit) => {
        const inVariant = (variant: string): CircuitRow =>
          must(
            circuits.find((one) => one.variant === variant && one.threshold === circuit.threshold),
            variant,
          );
        return [
          shownAs(circuit.threshold.toPrecision(2), circuit.threshold),
          ...sizes.map(([, sizeIn]) => shownAs(sizeIn(circuit).toLocaleString("en"), sizeIn(circuit))),
          ...variants.map((variant) => faithfulnessOf(inVariant(variant))),
          completenessOf(circuit),
        ];
      }),
    grouped: false,
  };
  return { title: "Circuits", tables: [table] };
}

/** Faithfulness with its interval. */
export function faithfulnessOf({ faithfulness, faithfulnessLow, faithfulnessHigh }: CircuitRow): Cell {
  return bounded({ value: faithfulness, low: faithfulnessLow, high: faithfulnessHigh });
}

/** Completeness with its interval. */
export function completenessOf({ completeness, completenessLow, completenessHigh }: CircuitRow): Cell {
  return bounded({ value: completeness, low: completenessLow, high: completenessHigh });
}
