/** @file The correlation of each score with the true effects, position by position. */
import * as Plot from "@observablehq/plot";
import { KINDS } from "../../../nodes/kinds.js";
import { comparePositions } from "../../../nodes/node.js";
import { spacedTicks } from "../../../report/axis-ticks.js";
import { positionAxis, tokenAt, withExample, type ExamplePrompt } from "../../../report/example-prompt.js";
import { drawPanel, type Figure, type Panel } from "../../../report/figure.js";
import { formatCorrelation } from "../../../report/format-number.js";
import { capitalised, sitesOf } from "../../../report/labels.js";
import type { TruthContents } from "./contents.js";
import type { Group } from "./validation-file.js";
import { seriesStyle } from "../../../report/palette.js";
import { FEWEST_NODES } from "../../../stats/validation.js";
import { scoreSeries } from "./score-series.js";
import { familiesOf, measuredOf, truthNote } from "./group-labels.js";

/** Room between the marks of different scores at one position, as a share of a position. */
const SPREAD = 0.5;
/** Positions that are labelled. */
const MOST_TICKS = 13;

/** Correlations at each position with their intervals, a colour for each score; none where nothing was compared. */
export function positionFigures(contents: TruthContents): Figure[] {
  const { plan, groups } = contents;
  const placed = (groups ?? []).filter(
    ({ position, weighted }) => position !== null && weighted.pearson.value !== null,
  );
  if (placed.length === 0) return [];
  const names = plan.sweep.scores.map(({ name }) => name).filter((name) => placed.some(({ score }) => score === name));
  const lowest = Math.min(...placed.map(({ weighted: { pearson } }) => Math.min(pearson.low ?? 0, pearson.value ?? 0)));
  const panels = familiesOf(placed).flatMap(({ kind, global }) =>
    sitesOf(placed.filter((group) => group.kind === kind && group.global === global)).map((site) =>
      positionPanel(
        `${capitalised(KINDS[kind].plural)}, ${site}`,
        placed.filter((group) => group.kind === kind && group.site === site && group.global === global),
        { names, lowest: lowest < 0 ? -1 : 0, example: contents.example },
      ),
    ),
  );
  const note = truthNote(contents);
  return [
    {
      id: "correlations",
      title: "Correlation with true effects at each position",
      caption: withExample(
        `Pearson correlation over the frame's nodes of one position${note === "" ? "" : ` ${note}`}. ` +
          "Hollow points rest on fewer than ten nodes and have no interval: read them as anecdotes. A score can be right at the answer's position and wrong before it.",
        contents.example,
      ),
      panels,
      columns: 3,
      legend: {
        kind: "series",
        entries: scoreSeries(contents, names).map((entry) => ({ ...entry, dash: "none" })),
      },
      table: {
        columns: ["score", "kind", "site", "position", "n", "frame_size", "pearson", "low", "high", "spearman"],
        rows: placed.map(({ score, kind, site, position, n, frame_size, weighted: { pearson, spearman } }) => [
          score,
          kind,
          site,
          position,
          n,
          frame_size,
          pearson.value,
          pearson.low,
          pearson.high,
          spearman.value,
        ]),
      },
    },
  ];
}

/** What all panels of the figure share. */
interface Shared {
  readonly names: readonly string[];
  readonly lowest: -1 | 0;
  readonly example: ExamplePrompt | null;
}

function positionPanel(title: string, groups: readonly Group[], { names, lowest, example }: Shared): Panel {
  const { axis, room } = positionAxis(example);
  const positions = [...new Set(groups.map(({ position }) => position ?? 0))].sort(comparePositions);
  // Positions from the end stand behind the others.
  const behind = 1 + Math.max(-1, ...positions) - Math.min(0, ...positions);
  const stand = (position: number): number => (position < 0 ? behind + position : position);
  const [first, last] = [stand(positions[0] ?? 0), stand(positions.at(-1) ?? 0)];
  const placeOf = ({ position, score }: Group): number =>
    stand(position ?? 0) + SPREAD * ((names.indexOf(score) + 0.5) / names.length - 0.5);
  const colorOf = ({ score }: Group): string => seriesStyle(names.indexOf(score)).color;
  const panel = drawPanel(title, [], {
    width: 290,
    height: 190 + room,
    marginLeft: 36,
    marginBottom: 34 + room,
    marginTop: 24,
    marginRight: 10,
    x: {
      domain: [first - 0.6, last + 0.6],
      ...axis,
      ticks: spacedTicks(positions, MOST_TICKS).map(stand),
      tickFormat: (place: number) => axis.tickFormat(positions.find((position) => stand(position) === place) ?? place),
      label: "position →",
      labelAnchor: "right",
      tickSize: 3,
    },
    y: {
      domain: [lowest, 1],
      ticks: lowest < 0 ? [-1, -0.5, 0, 0.5, 1] : [0, 0.5, 1],
      tickFormat: (value: number) => String(value).replace("-", "−"),
      label: "↑ r",
      tickSize: 3,
      grid: true,
    },
    marks: [
      Plot.ruleY([0], { strokeOpacity: 0.35 }),
      Plot.ruleX(
        groups.filter(({ weighted }) => weighted.pearson.low !== null),
        {
          x: placeOf,
          y1: ({ weighted }: Group) => weighted.pearson.low,
          y2: ({ weighted }: Group) => weighted.pearson.high,
          stroke: colorOf,
          strokeWidth: 2,
          strokeOpacity: 0.5,
          clip: true,
        },
      ),
      Plot.dot([...groups], {
        x: placeOf,
        y: ({ weighted }: Group) => weighted.pearson.value,
        r: 3.2,
        stroke: colorOf,
        strokeWidth: 1.5,
        fill: colorOf,
        fillOpacity: ({ n }: Group) => (n < FEWEST_NODES ? 0 : 1),
        title: ({ score, position, weighted, n, frame_size }: Group) =>
          `${score}, position ${String(position)}${tokenAt(example, position ?? -1)}\nr = ${formatCorrelation(weighted.pearson)}\n${measuredOf(n, frame_size)}`,
      }),
    ],
  });
  const [some] = groups;
  return some === undefined ? panel : { ...panel, asked: { map: { kind: some.kind, site: some.site } } };
}
