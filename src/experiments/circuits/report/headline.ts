/** @file Which circuit is faithful, in a sentence or two. */

import { formatCount } from "../../../report/format-number.js";
import { type Markup, markup, joined } from "../../../report/markup.js";
import { type CircuitRow, sizeOf, VARIANT_NAMES } from "./circuit-row.js";
import { farthestAbove } from "./above-full.js";
import { completenessOf, faithfulnessOf } from "./circuit-tables.js";
import { isUndefined, undefinedAnswer } from "./undefined-ratios.js";

/** Faithfulness that the headline's circuit has to reach. */
const FAITHFUL = 0.8;

/** The smallest faithful circuit, what is left without it, and its variants. */
export function circuitAnswer(rows: readonly CircuitRow[]): Markup[] {
  if (isUndefined(rows)) return [undefinedAnswer(rows)];
  const whole = rows.filter(({ variant }) => variant === "all").sort((a, b) => sizeOf(a) - sizeOf(b));
  const chosen =
    whole.find(({ faithfulness }) => faithfulness >= FAITHFUL) ??
    [...whole].sort((a, b) => b.faithfulness - a.faithfulness)[0];
  if (chosen === undefined) return [];
  const reached = chosen.faithfulness >= FAITHFUL;
  const complement = Number.isFinite(chosen.completeness)
    ? markup`; the rest of the model without it keeps ${completenessOf(chosen)}`
    : null;
  const others = rows
    .filter(({ variant, threshold }) => variant !== "all" && threshold === chosen.threshold)
    .map((row) => markup`${faithfulnessOf(row)} with ${VARIANT_NAMES[row.variant] ?? row.variant}`);
  const above = farthestAbove(whole);
  const beyond =
    above !== undefined &&
    markup` Circuits can pass the full model: the one of ${formatCount(sizeOf(above))} nodes has <strong>${faithfulnessOf(above)}</strong>, above 1.`;
  return [
    markup`${reached ? `The smallest circuit that recovers at least ${String(FAITHFUL * 100)} % of the metric` : "No circuit recovers 80 % of the metric; the best one"} has <strong>${formatCount(sizeOf(chosen))} nodes</strong> and faithfulness <strong>${faithfulnessOf(chosen)}</strong>${complement}.${others.length > 0 && markup` At the same threshold: ${joined(others)}.`}${beyond}`,
  ];
}
