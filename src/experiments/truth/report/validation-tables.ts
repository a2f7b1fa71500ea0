/** @file Tables of the statistics per group: of the frame, of strata and layers, of differences, and of what was not measured. */
import { markup, type Content, type Markup } from "../../../report/markup.js";
import {
  formatCorrelation,
  formatCount,
  formatInterval,
  formatNumber,
  formatPercent,
  UNDEFINED,
} from "../../../report/format-number.js";
import { capitalised, scoreLabel } from "../../../report/labels.js";
import { htmlTable, numberColumn, stacked, textColumn, type HtmlColumn, type Table } from "../../../report/table.js";
import { STATISTICS } from "../../../stats/agreement.js";
import type { TruthContents } from "./contents.js";
import type { Group } from "./validation-file.js";
import { compareGroups, groupLabel, measuredOf } from "./group-labels.js";

type Statistics = Group["weighted"];

const COLUMNS: readonly HtmlColumn[] = [
  textColumn("nodes"),
  numberColumn("measured"),
  numberColumn("Pearson r"),
  numberColumn("Spearman ρ"),
  numberColumn("off"),
  numberColumn("slope"),
  numberColumn("size ratio"),
  numberColumn("same sign"),
  numberColumn("same sign, by effect"),
  numberColumn("recall at 10"),
];

/** The statistics section: groups over all positions in full view, the rest folded. */
export function validationTables(contents: TruthContents): Markup[] {
  const { plan, groups, layerGroups } = contents;
  return plan.sweep.scores.flatMap(({ name }) => {
    const of = (all: readonly Group[]): Group[] => all.filter(({ score }) => score === name).sort(compareGroups);
    const mine = of(groups ?? []);
    if (mine.length === 0) return [];
    const label = capitalised(scoreLabel(contents, name));
    const whole = mine.filter(({ position }) => position === null);
    const folded = (what: string, among: readonly Group[]): Markup[] =>
      among.length === 0
        ? []
        : [
            markup`<details><summary>${label}, ${what} (${among.length} groups)</summary>
${htmlTable(`${label}, ${what}${listedNote(among.length)}`, COLUMNS, among.slice(0, MOST_LISTED).map(groupRow))}</details>`,
          ];
    return [
      htmlTable(`${label}, all positions together`, COLUMNS, whole.map(groupRow)),
      ...folded(
        "position by position",
        mine.filter(({ position }) => position !== null),
      ),
      ...folded("layer by layer", of(layerGroups)),
      ...strataTable(label, whole),
      ...calibrationTable(label, whole),
    ];
  });
}

/** Groups that a folded table lists; the page would be large of more. */
const MOST_LISTED = 100;

function listedNote(groups: number): string {
  return groups <= MOST_LISTED
    ? ""
    : `: the first ${String(MOST_LISTED)} of ${String(groups)}; all are in validation.csv`;
}

function groupRow(group: Group): Content[] {
  const { pearson, spearman, off, slope, size_ratio, sign_agreement, sign_agreement_by_effect } = group.weighted;
  return [
    groupLabel(group),
    measuredOf(group.n, group.frame_size),
    stacked(formatCorrelation(pearson), isShifted(pearson)),
    stacked(formatCorrelation(spearman), isShifted(spearman)),
    stacked(formatInterval(off, 2)),
    stacked(formatInterval(slope, 3)),
    stacked(formatInterval(size_ratio, 3)),
    stacked(formatCorrelation(sign_agreement)),
    stacked(formatCorrelation(sign_agreement_by_effect)),
    recallCell(group.weighted),
  ];
}

function recallCell({ top_k_overlap: { value, low, high, chance } }: Statistics): Content {
  if (value === null) return UNDEFINED;
  const byChance = chance === null ? null : markup`<span class="sub">${formatNumber(chance, 2)} by chance</span>`;
  return markup`${stacked(formatCorrelation({ value, low, high }))}${byChance}`;
}

/** Whether the replicates sit so far from the estimate that the interval shows noise rather than the statistic. */
function isShifted({ low, high, bias }: Statistics["pearson"]): boolean {
  return low !== null && high !== null && typeof bias === "number" && Math.abs(bias) > (high - low) / 2;
}

/** Plain statistics of each stratum of sampled families. */
function strataTable(label: string, whole: readonly Group[]): Markup[] {
  const rows = whole.flatMap((group) =>
    group.strata.map((stratum, i) => [
      i === 0 ? groupLabel(group) : "",
      stratumLabel(stratum.stratum),
      measuredOf(stratum.n, stratum.frame_size),
      ...[stratum.pearson, stratum.spearman, stratum.sign_agreement].map(plainCorrelation),
      formatNumber(stratum.slope),
      formatNumber(stratum.off, 2),
    ]),
  );
  if (rows.length === 0) return [];
  const columns = [
    ...["nodes", "stratum"].map((name) => textColumn(name)),
    ...["measured", "Pearson r", "Spearman ρ", "same sign", "slope", "off"].map((name) => numberColumn(name)),
  ];
  return [
    markup`<details><summary>${label}, stratum by stratum: each measured node counted alike, within one stratum</summary>
${htmlTable(`${label}, plain statistics within strata`, columns, rows)}</details>`,
  ];
}

/** Mean effects by bands of the score. */
function calibrationTable(label: string, whole: readonly Group[]): Markup[] {
  const rows = whole.flatMap((group) =>
    group.calibration.map((band, i) => [
      i === 0 ? groupLabel(group) : "",
      `${formatNumber(band.from, 2)} to ${formatNumber(band.to, 2)}`,
      measuredOf(band.n, band.frame_size),
      formatNumber(band.mean_score),
      formatNumber(band.mean_effect),
    ]),
  );
  if (rows.length === 0) return [];
  const columns = [
    textColumn("nodes"),
    ...["|score|", "measured", "mean |score|", "mean effect in its direction"].map((name) => numberColumn(name)),
  ];
  return [
    markup`<details><summary>${label}, calibration: what scores of a size turn out to be</summary>
${htmlTable(`${label}, mean effects by bands of the score`, columns, rows)}</details>`,
  ];
}

/** Paired differences between scores, or null where there is one score. */
export function differencesTable(contents: TruthContents): Markup | null {
  const rows = contents.differences
    .filter(({ position }) => position === null)
    .sort(compareGroups)
    .map(({ first, second, weighted: { pearson, spearman, off }, ...group }) => [
      groupLabel(group),
      `${scoreLabel(contents, first)} − ${scoreLabel(contents, second)}`,
      stacked(formatCorrelation(pearson)),
      stacked(formatCorrelation(spearman)),
      stacked(formatInterval(off, 2)),
    ]);
  if (rows.length === 0) return null;
  return htmlTable(
    "Differences between scores, over the same nodes and the same resamples",
    [
      textColumn("nodes"),
      textColumn("scores"),
      ...["Pearson r", "Spearman ρ", "off"].map((name) => numberColumn(name)),
    ],
    rows,
  );
}

/** What is known of nodes that were not measured, or null where all were. */
export function unmeasuredTable({ unmeasured }: TruthContents): Markup | null {
  if (unmeasured.length === 0) return null;
  return htmlTable(
    "Nodes that were not measured",
    [
      textColumn("nodes"),
      textColumn("stratum"),
      ...["measured", "effect size", "measured above it", "of all, at most"].map((name) => numberColumn(name)),
    ],
    unmeasured.map((one) => [
      groupLabel({ ...one, layer: null, position: null }),
      stratumLabel(one.stratum),
      measuredOf(one.n, one.frame_size),
      formatNumber(one.size),
      formatCount(one.exceeding),
      formatPercent(one.at_most),
    ]),
  );
}

/** Correlations prompt by prompt, or null in a file that has none. */
export function perPromptTable(contents: TruthContents): Markup | null {
  const rows = (contents.groups ?? [])
    .filter(({ position }) => position === null)
    .sort(compareGroups)
    .flatMap(({ per_prompt, score, ...group }) =>
      per_prompt === null
        ? []
        : [
            [
              groupLabel(group),
              scoreLabel(contents, score),
              formatCount(per_prompt.prompts),
              ...[per_prompt.median, per_prompt.p5, per_prompt.p95].map(plainCorrelation),
              plainCorrelation(group.weighted.pearson.value),
            ],
          ],
    );
  if (rows.length === 0) return null;
  return htmlTable(
    "Pearson r on single prompts",
    [
      textColumn("nodes"),
      textColumn("score"),
      ...["prompts", "median", "5th percentile", "95th percentile", "of the means"].map((name) => numberColumn(name)),
    ],
    rows,
  );
}

/** The noise floor, or null where the run holds none. */
export function reliabilityTable({ reliability }: TruthContents): Markup | null {
  if (reliability.length === 0) return null;
  return htmlTable(
    "True effects against themselves",
    [
      textColumn("nodes"),
      ...[
        "n",
        "half against half, r",
        "half against half, ρ",
        "stepped up to all clusters, r",
        "correlation within clusters",
        "arithmetic: largest difference",
        "of largest effect",
      ].map((name) => numberColumn(name)),
    ],
    [...reliability]
      .sort(compareGroups)
      .map((row) => [
        groupLabel(row),
        formatCount(row.split_half.n),
        stacked(formatCorrelation(row.split_half.pearson)),
        stacked(formatCorrelation(row.split_half.spearman)),
        stacked(formatCorrelation(row.split_half.spearman_brown)),
        plainCorrelation(row.split_half.intraclass_correlation),
        formatNumber(row.numeric?.max_abs_difference ?? null, 2),
        formatNumber(row.numeric?.max_abs_effect ?? null),
      ]),
  );
}

/** All statistics as one flat table, for `report/validation.csv`. */
export function validationCsv({ groups, layerGroups }: TruthContents): Table {
  const names = STATISTICS.flatMap((name) => [name, `${name}_low`, `${name}_high`]);
  const numbers = (statistics: Statistics): (number | null)[] =>
    STATISTICS.flatMap((name) => [statistics[name].value, statistics[name].low, statistics[name].high]);
  return {
    columns: ["score", "kind", "site", "layer", "position", "global", "weighted", "n", "frame_size", "k", ...names],
    rows: [...(groups ?? []), ...layerGroups].flatMap((group) =>
      [false, true].map((weighted) => [
        group.score,
        group.kind,
        group.site,
        group.layer,
        group.position,
        group.global,
        weighted,
        group.n,
        group.frame_size,
        group.top_k_overlap.k,
        ...numbers(weighted ? group.weighted : group),
      ]),
    ),
  };
}

function plainCorrelation(value: number | null): string {
  return formatCorrelation({ value, low: null, high: null });
}

/** `top 5 percent`. */
function stratumLabel(stratum: string): string {
  return stratum.replaceAll("_", " ");
}
