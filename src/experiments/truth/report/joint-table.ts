/** @file Sets that were patched all at once, beside their nodes one by one and their scores. */
import { truthDonorOf } from "../../../plan/node-list.js";
import { formatCount, formatInterval, formatNumber, UNDEFINED } from "../../../report/format-number.js";
import { scoreLabel } from "../../../report/labels.js";
import { type Content, markup } from "../../../report/markup.js";
import { htmlTable, numberColumn, stacked, textColumn } from "../../../report/table.js";
import { around } from "../../../report/normal-interval.js";
import type { TruthContents } from "./contents.js";

/** What the nodes of a set take their values from. */
const DONORS = { corrupted: "the corrupted prompt", mean: "their means", zero: "zero" } as const;

/** The table with its note; none where no set was patched. */
export function jointTables(contents: TruthContents): Content[] {
  const { joint, plan } = contents;
  if (joint.length === 0) return [];
  const names = plan.sweep.scores.map(({ name }) => name);
  const mean = (value: number | null, sem: number | null): Content =>
    value === null ? UNDEFINED : stacked(formatInterval(around(value, sem ?? Number.NaN)));
  const table = htmlTable(
    "Sets of nodes that were patched all at once",
    [
      textColumn("set"),
      numberColumn("nodes"),
      numberColumn("prompts"),
      numberColumn("effect"),
      numberColumn("share of m’s shift"),
      numberColumn("sum of single effects"),
      ...names.map((name) => numberColumn(`sum of ${scoreLabel(contents, name)}`)),
    ],
    joint.map((one) => [
      one.set,
      formatCount(one.size),
      formatCount(one.n),
      mean(one.effect, one.effect_sem),
      formatNumber(one.normalised, 2),
      mean(one.single_effects, one.single_effects_sem),
      ...names.map((name) => formatNumber(one.scores[name] ?? null)),
    ]),
  );
  return [
    table,
    markup`<p class="note">All nodes of a set take their values from ${DONORS[truthDonorOf(plan.sweep)]} in one run, whatever was patched before them; all other nodes are live. Single effects are those of the set's nodes patched one by one, where all of them were measured: what they add up to is not what patching them together does. Sums of scores are over the prompts that choose. Brackets: mean ± 1.96 standard errors, by clusters of prompts.</p>`,
  ];
}
