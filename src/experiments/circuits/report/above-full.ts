/** @file Where circuits of a variant pass the full model, in words. */
import { formatCount, formatShare } from "../../../report/format-number.js";
import { sizeOf, VARIANT_NAMES, type CircuitRow } from "./circuit-row.js";

/** The circuit of largest faithfulness among those whose whole interval lies above 1; undefined where there is none. */
export function farthestAbove(rows: readonly CircuitRow[]): CircuitRow | undefined {
  return byFaithfulness(rows.filter(({ faithfulnessLow }) => faithfulnessLow > 1))[0];
}

/** Under the curves: for each variant where its estimates pass 1, and the highest of them. Whichever is highest has no interval of its own. */
export function passingNote(rows: readonly CircuitRow[], variant: string): string {
  const mine = rows
    .filter((row) => row.variant === variant && sizeOf(row) > 0 && Number.isFinite(row.faithfulness))
    .sort((a, b) => sizeOf(a) - sizeOf(b));
  const highest = byFaithfulness(mine)[0];
  if (highest === undefined) return "";
  const name = VARIANT_NAMES[variant] ?? variant;
  const top = `highest ${formatShare({ value: highest.faithfulness, low: null, high: null })} at ${formatCount(sizeOf(highest))} nodes`;
  const first = mine.findIndex(({ faithfulness }) => faithfulness > 1);
  const [passed, before] = [mine[first], mine[first - 1]];
  if (passed === undefined) return `${name}: never above 1; ${top}`;
  const where =
    before === undefined
      ? `from the smallest circuit on (${formatCount(sizeOf(passed))} nodes)`
      : `between ${formatCount(sizeOf(before))} and ${formatCount(sizeOf(passed))} nodes`;
  return `${name}: passes 1 ${where}; ${top}`;
}

function byFaithfulness(rows: readonly CircuitRow[]): CircuitRow[] {
  return [...rows].sort((a, b) => b.faithfulness - a.faithfulness);
}
