/** @file What a report says in the place of faithfulness where it is undefined. */
import { formatInterval } from "../../../report/format-number.js";
import { markup, type Markup } from "../../../report/markup.js";
import type { CircuitContents } from "./contents.js";
import type { CircuitRow } from "./circuit-row.js";

/** Whether the run's threshold circuits have no faithfulness: all of them are shares of one denominator. */
export function isUndefined(rows: readonly CircuitRow[]): boolean {
  return rows.length > 0 && rows.every(({ undefinedBecause }) => undefinedBecause !== "");
}

/** The headline's paragraph in that case. */
export function undefinedAnswer(rows: readonly CircuitRow[]): Markup {
  return markup`<strong>Faithfulness is undefined</strong>: ${reasonOf(rows[0])}. No circuit's share of the metric is given.`;
}

/** Notes under the tables, one for each ablation under which ratios are undefined. */
export function undefinedNotes({ circuits }: CircuitContents): Markup[] {
  const refused = (circuits ?? []).filter(({ undefinedBecause }) => undefinedBecause !== "");
  const reasons = new Map(refused.map((row) => [reasonOf(row).text, reasonOf(row)]));
  return [...reasons.values()].map(
    (reason) =>
      markup`<p class="note">Undefined: ${reason}. A ratio to such a number can come out at any size. More prompts, other prompts or another ablation may tell them apart.</p>`,
  );
}

/** All rows of one ablation have the same. */
function reasonOf(row: CircuitRow | undefined): Markup {
  const known = (number = Number.NaN): number | null => (Number.isFinite(number) ? number : null);
  const value = known(row?.denominator);
  const shown = formatInterval({ value, low: known(row?.denominatorLow), high: known(row?.denominatorHigh) }, 3);
  return markup`the full model's metric is not told from the empty circuit's under ${row?.ablation ?? ""} ablation (m(full) − m(empty) = ${shown})`;
}
