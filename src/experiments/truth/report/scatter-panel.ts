/** @file One scatter of scores against true effects: points, their labels, the diagonal and the fit. */
import * as Plot from "@observablehq/plot";
import { KINDS, type NodeKind } from "../../../nodes/kinds.js";
import { GLOBAL_POSITION } from "../../../nodes/node.js";
import type { Site } from "../../../nodes/site.js";
import { linearScale, symlogScale, transformOf, type AxisScale } from "../../../report/axis-scale.js";
import { drawPanel, type Panel } from "../../../report/figure.js";
import { formatCorrelation, formatCount, formatInterval, formatNumber } from "../../../report/format-number.js";
import { capitalised, nodeLabel, positionLabel } from "../../../report/labels.js";
import { layerColor } from "../../../report/palette.js";
import { dotPaths } from "../../../report/dot-paths.js";
import type { NodeRow } from "./node-row.js";
import { measuredOf } from "./group-labels.js";
import type { Group } from "./validation-file.js";

/** Nodes above which whiskers and labels would hide the points. */
const FEW_NODES = 60;
/** Strongest nodes that are named in a panel. */
const NAMED_NODES = 4;
/** Points of one panel that say what they are when pointed at without a script: each adds a line of text to the page. */
const DESCRIBED_POINTS = 60;
/** The frame in pixels. Its inside is a square, because both axes hold the same quantity. */
const FRAME = { width: 290, height: 292, marginLeft: 46, marginBottom: 38, marginTop: 20, marginRight: 10 };

/** One point of a scatter. */
export interface Point {
  readonly node: NodeRow;
  readonly score: number;
  readonly scoreSem: number;
}

/** What a panel shows. */
export interface ScatterPanel {
  readonly place: { readonly kind: NodeKind; readonly site: Site; readonly global: boolean };
  readonly score: { readonly name: string; readonly label: string; readonly index: number };
  /** All nodes that enter the statistics. */
  readonly points: readonly Point[];
  /** Those that are drawn, the largest first. */
  readonly drawn: readonly Point[];
  readonly group: Group | undefined;
  readonly layers: number;
  readonly scale: AxisScale["kind"];
}

/** Draws it. */
export function scatterPanel(panel: ScatterPanel): Panel {
  const { place, score, points, drawn, scale: kind } = panel;
  const reach = points.flatMap((point) => [point.score, point.node.effect]);
  const scales = { linear: linearScale(reach), symlog: symlogScale(reach) };
  const scale = scales[kind];
  const axis = {
    type: kind,
    ...(kind === "symlog" ? { constant: scale.constant } : {}),
    domain: [scale.low, scale.high],
    ticks: [...scale.ticks],
    tickFormat: formatTick,
    tickSize: 3,
  } as const;
  const options: Plot.PlotOptions = {
    ...FRAME,
    x: { ...axis, label: `${capitalised(score.label)} score →`, labelAnchor: "right" },
    y: { ...axis, label: "↑ true effect" },
    marks: marksOf(panel, scale),
  };
  return {
    ...drawPanel(`${capitalised(KINDS[place.kind].plural)}, ${place.site}`, notesOf(panel), options),
    asked: { scatter: askedOf(panel, scales, drawn.length <= FEW_NODES) },
  };
}

function notesOf({ group, drawn, points }: ScatterPanel): string[] {
  return [
    ...(group === undefined
      ? []
      : [
          `r = ${formatCorrelation(group.weighted.pearson)}   ${measuredOf(group.n, group.frame_size)}`,
          `slope ${formatInterval(group.weighted.slope, 3)}`,
        ]),
    ...(drawn.length < points.length ? [`${formatCount(drawn.length)} of the points are drawn`] : []),
  ];
}

/** What the page's script draws the panel from again, on other axes or for some of the nodes. */
function askedOf(
  { place, score, group, scale }: ScatterPanel,
  scales: Record<string, AxisScale>,
  few: boolean,
): object {
  const { width, height, marginLeft, marginBottom, marginTop, marginRight } = FRAME;
  const [slope, intercept] = [group?.weighted.slope.value ?? null, group?.weighted.intercept.value ?? null];
  const named = Object.entries(scales).map(([kind, { constant, low, high, ticks }]) => [
    kind,
    { constant, low, high, ticks: ticks.map((tick) => [tick, formatTick(tick)]) },
  ]);
  return {
    ...place,
    score: score.index,
    box: [marginLeft, width - marginRight, height - marginBottom, marginTop],
    start: scale,
    radius: few ? 3.2 : 2,
    fit: slope === null || intercept === null ? null : [slope, intercept],
    scales: Object.fromEntries(named) as object,
  };
}

/** The digits that a tick has. */
function formatTick(value: number): string {
  return formatNumber(value, Number(value.toPrecision(1)) === value ? 1 : 2);
}

function marksOf({ points, drawn, group, layers }: ScatterPanel, scale: AxisScale): Plot.Markish[] {
  const few = points.length <= FEW_NODES;
  const [low, high] = [scale.low, scale.high];
  const colorOf = ({ node }: Point): string => layerColor(node.layer, layers);
  const effectOf = ({ node }: Point): number => node.effect;
  const style = { radius: few ? 3.2 : 2, opacity: few ? 0.9 : 0.65 };
  const diagonal = [low, high].map((end): [number, number] => [end, end]);
  const rest = drawn.slice(DESCRIBED_POINTS);
  return [
    Plot.ruleX([0], { strokeOpacity: 0.25 }),
    Plot.ruleY([0], { strokeOpacity: 0.25 }),
    Plot.line(diagonal, { strokeDasharray: "3 4", strokeOpacity: 0.6, strokeWidth: 1 }),
    ...fitLine(group, points, scale),
    ...(few ? whiskers(points, layers) : []),
    dotPaths(
      rest.map((point) => ({ x: point.score, y: effectOf(point), color: colorOf(point) })),
      style,
    ),
    Plot.dot(drawn.slice(0, DESCRIBED_POINTS), {
      x: "score",
      y: effectOf,
      r: style.radius,
      fill: colorOf,
      fillOpacity: style.opacity,
      title: describePoint,
    }),
    ...names(points, scale),
  ];
}

/** Steps of the fit's line, which is bent where axes are not linear. */
const FIT_STEPS = 48;

function fitLine(group: Group | undefined, points: readonly Point[], scale: AxisScale): Plot.Markish[] {
  const [slope, intercept] = [group?.weighted.slope.value ?? null, group?.weighted.intercept.value ?? null];
  if (slope === null || intercept === null) return [];
  const first = points[0]?.score ?? 0;
  const least = points.reduce((a, { score }) => Math.min(a, score), first);
  const most = points.reduce((a, { score }) => Math.max(a, score), first);
  const [from, to] = [transformOf(scale, least), transformOf(scale, most)];
  const steps = scale.kind === "linear" ? 1 : FIT_STEPS;
  const ends = Array.from({ length: steps + 1 }, (_, i): [number, number] => {
    const place = from + ((to - from) * i) / steps;
    const x = scale.kind === "linear" ? place : Math.sign(place) * Math.expm1(Math.abs(place)) * scale.constant;
    return [x, intercept + slope * x];
  });
  return [Plot.line(ends, { strokeWidth: 1.6, strokeOpacity: 0.85, clip: true })];
}

function whiskers(points: readonly Point[], layers: number): Plot.Markish[] {
  const style = { stroke: ({ node }: Point) => layerColor(node.layer, layers), strokeOpacity: 0.45, clip: true };
  const known = points.filter(({ scoreSem, node }) => Number.isFinite(scoreSem) && Number.isFinite(node.effectSem));
  return [
    Plot.ruleX(known, {
      x: "score",
      y1: ({ node }: Point) => node.effect - node.effectSem,
      y2: ({ node }: Point) => node.effect + node.effectSem,
      ...style,
    }),
    Plot.ruleY(known, {
      y: ({ node }: Point) => node.effect,
      x1: ({ score, scoreSem }: Point) => score - scoreSem,
      x2: ({ score, scoreSem }: Point) => score + scoreSem,
      ...style,
    }),
  ];
}

/** Least distance of labels, as shares of the axes. */
const LABELS_APART = { x: 0.2, y: 0.09 };

/** Labels of the strongest nodes that lie apart from one another. */
function names(points: readonly Point[], scale: AxisScale): Plot.Markish[] {
  const [low, high] = [transformOf(scale, scale.low), transformOf(scale, scale.high)];
  const shareOf = (value: number): number => (transformOf(scale, value) - low) / (high - low);
  const chosen: Point[] = [];
  const byStrength = [...points].sort((a, b) => Math.abs(b.node.effect) - Math.abs(a.node.effect));
  for (const point of byStrength) {
    if (chosen.length === NAMED_NODES) break;
    const clear = chosen.every(
      ({ score, node }) =>
        Math.abs(shareOf(score) - shareOf(point.score)) > LABELS_APART.x ||
        Math.abs(shareOf(node.effect) - shareOf(point.node.effect)) > LABELS_APART.y,
    );
    if (clear) chosen.push(point);
  }
  return [true, false].map((left) =>
    Plot.text(
      chosen.filter(({ score }) => shareOf(score) > 0.5 === left),
      {
        x: "score",
        y: ({ node }: Point) => node.effect,
        text: ({ node }: Point) =>
          `${String(node.layer)}${node.position === GLOBAL_POSITION ? "" : `·${String(node.position)}`}`,
        dx: left ? -7 : 7,
        textAnchor: left ? "end" : "start",
        fillOpacity: 0.75,
        fontSize: 10,
      },
    ),
  );
}

function describePoint({ node, score, scoreSem }: Point): string {
  return `layer ${String(node.layer)}, position ${positionLabel(node.position)}, ${nodeLabel(node)}
score ${formatNumber(score)} ± ${formatNumber(scoreSem)}
effect ${formatNumber(node.effect)} ± ${formatNumber(node.effectSem)} (standard errors)`;
}
