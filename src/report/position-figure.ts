/** @file The correlation of score and true effect at each position. */
import * as Plot from "@observablehq/plot";
import { drawPanel, type Figure, type Panel } from "./figure.js";
import { formatCorrelation } from "./format-number.js";
import { familiesOf, KIND_NAMES, sitesOf } from "./labels.js";
import { SERIES } from "./palette.js";
import { capitalised, scoreLabel, type Group, type RunContents } from "./run-contents.js";

/** Correlation at each position, with its interval; a figure for each score. */
export function positionFigures({ plan, groups }: RunContents): Figure[] {
  const placed = (groups ?? []).filter(({ position, pearson }) => position !== null && pearson.value !== null);
  return plan.sweep.scores.flatMap(({ name }) => {
    const mine = placed.filter(({ score }) => score === name);
    return mine.length === 0 ? [] : [positionFigure(scoreLabel(plan, name), name, mine)];
  });
}

function positionFigure(label: string, name: string, groups: readonly Group[]): Figure {
  const positions = [...new Set(groups.map(({ position }) => position ?? 0))].sort((a, b) => a - b);
  const panels = familiesOf(groups).flatMap(({ kind }) =>
    sitesOf(groups.filter((group) => group.kind === kind)).map((site) =>
      positionPanel(
        `${capitalised(KIND_NAMES[kind])}, ${site}`,
        groups.filter((group) => group.kind === kind && group.site === site),
        positions,
      ),
    ),
  );
  return {
    id: `positions-${name}`,
    title: `${capitalised(label)}: correlation with true effects at each position`,
    caption:
      "Pearson correlation over the nodes of one position, with its 95 % bootstrap interval over prompts. " +
      "Hollow points rest on fewer than ten nodes: read them as anecdotes. A score can be right at the answer's position and wrong before it.",
    panels,
    columns: 3,
    legend: null,
    table: {
      columns: ["kind", "site", "position", "n", "pearson", "low", "high", "spearman"],
      rows: groups.map(({ kind, site, position, n, pearson, spearman }) => [
        kind,
        site,
        position,
        n,
        pearson.value,
        pearson.low,
        pearson.high,
        spearman.value,
      ]),
    },
  };
}

function positionPanel(title: string, groups: readonly Group[], positions: readonly number[]): Panel {
  const color = SERIES[0].color;
  const low = groups.some(({ pearson }) => Math.min(pearson.low ?? 0, pearson.value ?? 0) < 0) ? -1 : 0;
  return drawPanel(title, [], {
    width: 290,
    height: 178,
    marginLeft: 36,
    marginBottom: 34,
    marginTop: 24,
    marginRight: 10,
    x: { type: "point", domain: positions, label: "position →", labelAnchor: "right", tickSize: 3, padding: 0.6 },
    y: {
      domain: [low, 1],
      ticks: low < 0 ? [-1, -0.5, 0, 0.5, 1] : [0, 0.25, 0.5, 0.75, 1],
      label: "↑ r",
      tickSize: 3,
      grid: true,
    },
    marks: [
      Plot.ruleY([0], { strokeOpacity: 0.35 }),
      Plot.ruleX(
        groups.filter(({ pearson }) => pearson.low !== null),
        {
          x: "position",
          y1: ({ pearson }: Group) => pearson.low,
          y2: ({ pearson }: Group) => pearson.high,
          stroke: color,
          strokeWidth: 2,
          strokeOpacity: 0.5,
          clip: true,
        },
      ),
      Plot.dot([...groups], {
        x: "position",
        y: ({ pearson }: Group) => pearson.value,
        r: 3.4,
        stroke: color,
        strokeWidth: 1.5,
        fill: color,
        fillOpacity: ({ n }: Group) => (n < 10 ? 0 : 1),
        title: ({ position, pearson, n }: Group) =>
          `position ${String(position)}\nr = ${formatCorrelation(pearson)}\nn = ${String(n)} nodes`,
      }),
    ],
  });
}
