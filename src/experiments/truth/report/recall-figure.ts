/** @file Recall of the largest effects among the largest scores, beside what a random order would reach. */
import * as Plot from "@observablehq/plot";
import { KINDS } from "../../../nodes/kinds.js";
import { drawPanel, type Figure, type Panel } from "../../../report/figure.js";
import { formatCorrelation } from "../../../report/format-number.js";
import { capitalised, sitesOf } from "../../../report/labels.js";
import { seriesStyle } from "../../../report/palette.js";
import type { TruthContents } from "./contents.js";
import { familiesOf, measuredOf, truthNote } from "./group-labels.js";
import { scoreSeries } from "./score-series.js";
import type { Group } from "./validation-file.js";

/** Pixels of a score's row within a site's, and of the margins above and below. */
const [ROW, GAP, MARGINS] = [15, 12, 62];

/** Recall at k of a group. */
interface Recall {
  readonly group: Group;
  readonly row: number;
  readonly value: number;
}

/** The figure, or none where no group has more nodes than k. */
export function recallFigures(contents: TruthContents): Figure[] {
  const groups = (contents.groups ?? []).filter(
    ({ position, weighted }) => position === null && weighted.top_k_overlap.value !== null,
  );
  const [first] = groups;
  if (first === undefined) return [];
  const names = contents.plan.sweep.scores.map(({ name }) => name);
  const { k } = first.weighted.top_k_overlap;
  const note = truthNote(contents).slice(1, -1);
  return [
    {
      id: "recall",
      title: `Recall at ${String(k)}: how many of the largest effects the largest scores find`,
      caption:
        `The share of the frame's ${String(k)} largest |effects| that are among its ${String(k)} largest |scores|. The upright tick is what a random order reaches on average: in a small frame most of it is chance. ` +
        (note === "" ? "" : `Lines: ${note}. `) +
        `Frames of at most ${String(k)} nodes have no recall.`,
      panels: familiesOf(groups).map(({ kind, global }) =>
        recallPanel(
          `${capitalised(KINDS[kind].plural)}${global ? ", all positions at once" : ""}`,
          groups.filter((group) => group.kind === kind && group.global === global),
          names,
        ),
      ),
      columns: 2,
      legend: {
        kind: "series",
        entries: scoreSeries(contents, names).map((entry) => ({ ...entry, dash: "none" })),
      },
      table: {
        columns: ["score", "kind", "site", "global", "n", "frame_size", "k", "recall", "low", "high", "chance"],
        rows: groups.map(({ score, kind, site, global, n, frame_size, weighted: { top_k_overlap: recall } }) => [
          ...[score, kind, site, global, n, frame_size],
          ...[recall.k, recall.value, recall.low, recall.high, recall.chance],
        ]),
      },
    },
  ];
}

function recallPanel(title: string, groups: readonly Group[], names: readonly string[]): Panel {
  const sites = sitesOf(groups);
  const shown = names.filter((name) => groups.some(({ score }) => score === name));
  const step = shown.length * ROW + GAP;
  const rows = groups.map((group): Recall => ({
    group,
    row: sites.indexOf(group.site) * step + shown.indexOf(group.score) * ROW + ROW / 2,
    value: group.weighted.top_k_overlap.value ?? Number.NaN,
  }));
  const height = sites.length * step - GAP;
  return drawPanel(title, [], {
    width: 420,
    height: height + MARGINS,
    marginLeft: 76,
    marginTop: 20,
    marginBottom: 42,
    marginRight: 14,
    x: {
      domain: [0, 1],
      ticks: [0, 0.2, 0.4, 0.6, 0.8, 1],
      label: "recall →",
      labelAnchor: "right",
      tickSize: 3,
      grid: true,
    },
    y: {
      domain: [0, height],
      reverse: true,
      ticks: sites.map((_, i) => i * step + (step - GAP) / 2),
      tickFormat: (place: number) => sites[Math.round((place - (step - GAP) / 2) / step)] ?? "",
      tickSize: 0,
      label: null,
    },
    marks: marksOf(rows, names),
  });
}

/** A recall's interval, what chance reaches, and the recall. */
function marksOf(rows: readonly Recall[], names: readonly string[]): Plot.Markish[] {
  const colorOf = ({ group }: Recall): string => seriesStyle(names.indexOf(group.score)).color;
  const boundOf =
    (side: "low" | "high") =>
    (one: Recall): number =>
      one.group.weighted.top_k_overlap[side] ?? one.value;
  const chanceOf = ({ group }: Recall): number => group.weighted.top_k_overlap.chance ?? Number.NaN;
  return [
    Plot.ruleY([...rows], {
      y: "row",
      x1: boundOf("low"),
      x2: boundOf("high"),
      stroke: colorOf,
      strokeWidth: 2,
      strokeOpacity: 0.5,
    }),
    Plot.ruleX(
      rows.filter((one) => Number.isFinite(chanceOf(one))),
      {
        x: chanceOf,
        y1: ({ row }: Recall) => row - ROW / 2 + 1,
        y2: ({ row }: Recall) => row + ROW / 2 - 1,
        strokeWidth: 2,
        strokeOpacity: 0.75,
      },
    ),
    Plot.dot([...rows], {
      x: "value",
      y: "row",
      r: 3.6,
      fill: colorOf,
      title: ({ group }: Recall) => {
        const { k, chance } = group.weighted.top_k_overlap;
        const byChance =
          chance === null ? "" : `\nby chance ${formatCorrelation({ value: chance, low: null, high: null })}`;
        return `${group.score}, ${group.site}\nrecall at ${String(k)} ${formatCorrelation(group.weighted.top_k_overlap)}${byChance}\n${measuredOf(group.n, group.frame_size)}`;
      },
    }),
  ];
}
