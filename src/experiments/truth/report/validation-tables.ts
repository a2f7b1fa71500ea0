/** @file Tables of the statistics per group, and of the noise floor. */
import { markup, type Content, type Markup } from "../../../report/markup.js";
import {
  formatCorrelation,
  formatCount,
  formatInterval,
  formatNumber,
  UNDEFINED,
} from "../../../report/format-number.js";
import { capitalised, scoreLabel } from "../../../report/labels.js";
import type { TruthContents } from "./contents.js";
import { htmlTable, numberColumn, stacked, textColumn, type HtmlColumn, type Table } from "../../../report/table.js";
import type { Group } from "./validation-file.js";
import { compareGroups, groupLabel } from "./group-labels.js";

type Statistics = Group["weighted"];

const COLUMNS: readonly HtmlColumn[] = [
  textColumn("nodes"),
  numberColumn("n"),
  numberColumn("Pearson r"),
  numberColumn("Spearman ρ"),
  numberColumn("Kendall τ-b"),
  numberColumn("same sign"),
  numberColumn("slope"),
  numberColumn("intercept"),
  numberColumn("top-k overlap"),
];

/** The statistics section: groups over all positions in full view, single positions folded. */
export function validationTables(contents: TruthContents): Markup[] {
  const { plan, groups } = contents;
  return plan.sweep.scores.flatMap(({ name }) => {
    const mine = (groups ?? []).filter(({ score }) => score === name).sort(compareGroups);
    if (mine.length === 0) return [];
    const label = scoreLabel(contents, name);
    const whole = mine.filter(({ position }) => position === null);
    const single = mine.filter(({ position }) => position !== null);
    return [
      htmlTable(`${capitalised(label)}, all positions together`, COLUMNS, whole.flatMap(groupRows)),
      ...(single.length === 0
        ? []
        : [
            markup`<details><summary>${capitalised(label)}, position by position (${single.length} groups)</summary>
${htmlTable(`${capitalised(label)}, single positions`, COLUMNS, single.flatMap(groupRows))}</details>`,
          ]),
    ];
  });
}

/** One row, and a second one for the weighted statistics where they differ. */
function groupRows(group: Group): Content[][] {
  const plain = [groupLabel(group), formatCount(group.n), ...statisticCells(group)];
  const same = group.weighted.pearson.value === group.pearson.value && group.weighted.slope.value === group.slope.value;
  if (same) return [plain];
  return [plain, [markup`<span class="sub">weighted to the whole frame</span>`, "", ...statisticCells(group.weighted)]];
}

function statisticCells(statistics: Statistics): Content[] {
  const { pearson, spearman, kendall, sign_agreement, slope, intercept, top_k_overlap } = statistics;
  const overlap = stacked(formatCorrelation(top_k_overlap));
  return [
    ...[pearson, spearman, kendall, sign_agreement].map((interval) =>
      stacked(formatCorrelation(interval), isShifted(interval)),
    ),
    stacked(formatInterval(slope)),
    stacked(formatInterval(intercept)),
    top_k_overlap.value === null ? UNDEFINED : markup`${overlap}<span class="sub">k = ${top_k_overlap.k}</span>`,
  ];
}

/** Whether the replicates sit so far from the estimate that the interval shows noise rather than the statistic. */
function isShifted({ low, high, bias }: Statistics["pearson"]): boolean {
  return low !== null && high !== null && typeof bias === "number" && Math.abs(bias) > (high - low) / 2;
}

/** The noise floor, or null where the run holds none. */
export function reliabilityTable({ reliability }: TruthContents): Markup | null {
  if (reliability.length === 0) return null;
  return htmlTable(
    "True effects against themselves",
    [
      textColumn("nodes"),
      numberColumn("n"),
      numberColumn("half against half, r"),
      numberColumn("half against half, ρ"),
      numberColumn("stepped up to all prompts, r"),
      numberColumn("arithmetic: largest difference"),
      numberColumn("of largest effect"),
    ],
    [...reliability]
      .sort(compareGroups)
      .map((row) => [
        groupLabel(row),
        formatCount(row.split_half.n),
        stacked(formatCorrelation(row.split_half.pearson)),
        stacked(formatCorrelation(row.split_half.spearman)),
        stacked(formatCorrelation(row.split_half.spearman_brown)),
        formatNumber(row.numeric?.max_abs_difference ?? null, 2),
        formatNumber(row.numeric?.max_abs_effect ?? null),
      ]),
  );
}

const STATISTICS = ["pearson", "spearman", "kendall", "sign_agreement", "slope", "intercept", "top_k_overlap"] as const;

/** All statistics as one flat table, for `report/validation.csv`. */
export function validationCsv({ groups }: TruthContents): Table {
  const names = STATISTICS.flatMap((name) => [name, `${name}_low`, `${name}_high`]);
  const numbers = (statistics: Statistics): (number | null)[] =>
    STATISTICS.flatMap((name) => [statistics[name].value, statistics[name].low, statistics[name].high]);
  return {
    columns: ["score", "kind", "site", "position", "global", "weighted", "n", "k", ...names],
    rows: (groups ?? []).flatMap((group) =>
      [false, true].map((weighted) => [
        group.score,
        group.kind,
        group.site,
        group.position,
        group.global,
        weighted,
        group.n,
        group.top_k_overlap.k,
        ...numbers(weighted ? group.weighted : group),
      ]),
    ),
  };
}
