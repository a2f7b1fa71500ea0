/** @file What scores of a size turn out to be: mean effects against mean scores, by bands of the score. */
import * as Plot from "@observablehq/plot";
import { KINDS } from "../../../nodes/kinds.js";
import { linearScale, symlogScale } from "../../../report/axis-scale.js";
import { drawPanel, type Figure, type Panel } from "../../../report/figure.js";
import { formatNumber } from "../../../report/format-number.js";
import { capitalised, scoreLabel, sitesOf } from "../../../report/labels.js";
import { seriesStyle } from "../../../report/palette.js";
import { estimates, type TruthContents } from "./contents.js";
import { familiesOf, measuredOf } from "./group-labels.js";
import { scoreSeries } from "./score-series.js";
import type { Group } from "./validation-file.js";

/** One band of one score. */
interface Point {
  readonly series: number;
  readonly score: number;
  readonly effect: number;
  readonly text: string;
}

/** The figure, or none where no band is known. */
export function calibrationFigures(contents: TruthContents): Figure[] {
  const names = estimates(contents);
  const groups = (contents.groups ?? []).filter(
    ({ score, position, calibration }) => names.includes(score) && position === null && calibration.length > 0,
  );
  if (groups.length === 0) return [];
  const panels = familiesOf(groups).flatMap(({ kind, global }) => {
    const ofKind = groups.filter((group) => group.kind === kind && group.global === global);
    return sitesOf(ofKind).map((site) =>
      calibrationPanel(
        `${capitalised(KINDS[kind].plural)}, ${site}${global ? ", all positions at once" : ""}`,
        ofKind.filter((group) => group.site === site).flatMap((group) => pointsOf(contents, names, group)),
      ),
    );
  });
  return [
    {
      id: "calibration",
      title: "Calibration: what scores of a size turn out to be",
      caption:
        "Nodes in bands of |score|, each band a tenth of the one before: the frame's mean |score| (across) and its mean effect in the score's direction (up). " +
        "On the dashed diagonal scores of that size are right on average; near zero they say nothing, and below it they have the wrong sign. " +
        "Means of few nodes scatter, and have no intervals: bands are themselves drawn, and intervals over resamples held too seldom to be shown.",
      panels,
      columns: 3,
      legend: {
        kind: "series",
        entries: scoreSeries(contents, names),
      },
      table: {
        columns: ["score", "kind", "site", "global", "from", "to", "n", "frame_size", "mean_score", "mean_effect"],
        rows: groups.flatMap(({ score, kind, site, global, calibration }) =>
          calibration.map((band) => [
            ...[score, kind, site, global, band.from, band.to],
            ...[band.n, band.frame_size, band.mean_score, band.mean_effect],
          ]),
        ),
      },
    },
  ];
}

function pointsOf(contents: TruthContents, names: readonly string[], { score, calibration }: Group): Point[] {
  return calibration.flatMap(({ from, to, n, frame_size, mean_score, mean_effect }) =>
    mean_effect === null
      ? []
      : [
          {
            series: names.indexOf(score),
            score: mean_score,
            effect: mean_effect,
            text: `${scoreLabel(contents, score)}, |score| ${formatNumber(from, 2)} to ${formatNumber(to, 2)}\nmean |score| ${formatNumber(mean_score)}, mean effect ${formatNumber(mean_effect)}\n${measuredOf(n, frame_size)}`,
          },
        ],
  );
}

function calibrationPanel(title: string, points: readonly Point[]): Panel {
  const values = points.flatMap(({ score, effect }) => [score, effect]);
  const scale = points.length > 1 ? symlogScale(values) : linearScale(values);
  const axis = {
    type: scale.kind,
    ...(scale.kind === "symlog" ? { constant: scale.constant } : {}),
    domain: [scale.low, scale.high],
    tickFormat: (value: number) => formatNumber(value, 1),
    tickSize: 3,
  } as const;
  const ends = [scale.low, scale.high].map((end) => ({ end }));
  const series = [...new Set(points.map((point) => point.series))];
  return drawPanel(title, [], {
    width: 290,
    height: 250,
    marginLeft: 46,
    marginBottom: 38,
    marginTop: 24,
    marginRight: 10,
    x: { ...axis, ticks: scale.ticks.filter((tick) => tick >= 0), label: "mean |score| →", labelAnchor: "right" },
    y: { ...axis, ticks: [...scale.ticks], label: "↑ mean effect in its direction" },
    marks: [
      Plot.ruleY([0], { strokeOpacity: 0.35 }),
      Plot.line(ends, { x: "end", y: "end", strokeOpacity: 0.6, strokeDasharray: "3 4" }),
      ...series.flatMap((at) => {
        const mine = points.filter((point) => point.series === at);
        const { color, dash } = seriesStyle(at);
        return [
          Plot.line(mine, { x: "score", y: "effect", stroke: color, strokeOpacity: 0.6, strokeDasharray: dash }),
          Plot.dot(mine, { x: "score", y: "effect", r: 3.2, fill: color, title: "text" }),
        ];
      }),
    ],
  });
}
