/** @file Score against true effect: a scatter for each kind and site. */
import * as Plot from "@observablehq/plot";
import { INDEX_FIELDS, KINDS, LISTED_KINDS } from "../../../nodes/kinds.js";
import { indexColumns, positionColumn } from "../../../nodes/node-columns.js";
import { GLOBAL_POSITION } from "../../../nodes/node.js";
import { drawPanel, type Figure, type Panel } from "../../../report/figure.js";
import { formatCorrelation, formatCount, formatInterval, formatNumber } from "../../../report/format-number.js";
import { capitalised, nodeLabel, positionLabel, scoreLabel, sitesOf } from "../../../report/labels.js";
import type { TruthContents } from "./contents.js";
import type { Table } from "../../../report/table.js";
import type { Group } from "./validation-file.js";
import { layerColor } from "../../../report/palette.js";
import type { NodeRow } from "./node-row.js";
import { methodOf } from "../../../methods/score-method.js";

/** Nodes above which whiskers and labels would hide the points. */
const FEW_NODES = 60;
/** Strongest nodes that are named in a panel. */
const NAMED_NODES = 4;
/** Points of one panel. */
const MOST_POINTS = 2000;
/** Points of one panel that say what they are when pointed at: each adds a line of text to the page. */
const DESCRIBED_POINTS = 300;
/** Why a zero-ablation score may be far off. */
const ZERO_NOTE =
  "Zero-ablation AtP estimates what setting a node to zero does, another effect than the one measured: agreement is not expected.";

/** One point of a scatter. */
interface Point {
  readonly node: NodeRow;
  readonly score: number;
  readonly scoreSem: number;
}

/** Two scatter figures for each score: nodes at their positions, and nodes patched at all positions at once. */
export function truthFigures(contents: TruthContents): Figure[] {
  const { plan, nodes } = contents;
  if (nodes === null || contents.groups === null) return [];
  return plan.sweep.scores.flatMap(({ name }) =>
    [false, true].flatMap((global) => {
      const points = pointsOf(contents, name).filter(({ node }) => (node.position === GLOBAL_POSITION) === global);
      return points.length === 0 ? [] : [scatterFigure(contents, name, global, points)];
    }),
  );
}

function scatterFigure(contents: TruthContents, name: string, global: boolean, points: readonly Point[]): Figure {
  const { plan } = contents;
  const label = scoreLabel(contents, name);
  const nodes = points.map(({ node }) => node);
  const panels = LISTED_KINDS.flatMap((kind) =>
    sitesOf(nodes.filter((node) => node.kind === kind)).map((site) => {
      const group = contents.groups?.find(
        (one) =>
          one.score === name &&
          one.kind === kind &&
          one.site === site &&
          one.position === null &&
          one.global === global,
      );
      const mine = points.filter(({ node }) => node.site === site && node.kind === kind);
      return scatterPanel(`${capitalised(KINDS[kind].plural)}, ${site}`, label, mine, group, plan.shape.nLayers);
    }),
  );
  return {
    id: `truth-${name}${global ? "-global" : ""}`,
    title: `${capitalised(label)} against true patching${global ? ", all positions at once" : ""}`,
    caption:
      "Each point is a node: its mean score over prompts (across) and the measured mean effect of patching it (up). " +
      "On the dashed diagonal the score is exact; the solid line is the least-squares fit. " +
      `Whiskers, where nodes are few, are one standard error over prompts. The strongest nodes are labelled layer${global ? "" : "·position"}.` +
      (plan.sweep.scores.some((score) => score.name === name && methodOf(contents.methods, score).donor === "zero")
        ? ` ${ZERO_NOTE}`
        : ""),
    panels,
    columns: 3,
    legend: { kind: "layers", count: plan.shape.nLayers },
    table: pointTable(name, points),
  };
}

function pointTable(name: string, points: readonly Point[]): Table {
  return {
    columns: [
      "hook",
      "kind",
      "site",
      "layer",
      "position",
      ...INDEX_FIELDS,
      name,
      `${name}_sem`,
      "effect",
      "effect_sem",
      "inclusion_probability",
    ],
    rows: points.map(({ node, score, scoreSem }) => [
      node.hook,
      node.kind,
      node.site,
      node.layer,
      positionColumn(node.position),
      ...indexColumns(node),
      score,
      scoreSem,
      node.effect,
      node.effectSem,
      node.inclusionProbability,
    ]),
  };
}

/** Nodes that enter the statistics: score or effect is not zero. */
function pointsOf({ nodes }: TruthContents, name: string): Point[] {
  return (nodes ?? []).flatMap((node) => {
    const score = node.scores.get(name);
    if (score === undefined || !(score.mean !== 0 || node.effect !== 0) || Number.isNaN(node.effect)) return [];
    return [{ node, score: score.mean, scoreSem: score.sem }];
  });
}

function scatterPanel(
  title: string,
  label: string,
  points: readonly Point[],
  group: Group | undefined,
  layers: number,
): Panel {
  const reach = points.flatMap(({ score, node }) => [score, node.effect]);
  const [low, high] = padded(
    reach.reduce((a, b) => Math.min(a, b), 0),
    reach.reduce((a, b) => Math.max(a, b), 0),
  );
  const few = points.length <= FEW_NODES;
  const drawn = thinned(points);
  const notes = [
    ...(group === undefined
      ? []
      : [
          `r = ${formatCorrelation(group.pearson)}   n = ${formatCount(group.n)}`,
          `slope ${formatInterval(group.slope, 3)}`,
        ]),
    ...(drawn.length < points.length ? [`${formatCount(drawn.length)} of the points are drawn`] : []),
  ];
  const axis = { domain: [low, high], tickSize: 3 };
  return drawPanel(title, notes, {
    width: 290,
    height: 270,
    marginLeft: 46,
    marginBottom: 38,
    marginTop: 20,
    marginRight: 10,
    x: { ...axis, ticks: 4, label: `${capitalised(label)} score →`, labelAnchor: "right" },
    y: { ...axis, ticks: 5, label: "↑ true effect" },
    marks: [
      Plot.ruleX([0], { strokeOpacity: 0.25 }),
      Plot.ruleY([0], { strokeOpacity: 0.25 }),
      Plot.line(
        [
          [low, low],
          [high, high],
        ],
        { strokeDasharray: "3 4", strokeOpacity: 0.6, strokeWidth: 1 },
      ),
      ...fitLine(group, points),
      ...(few ? whiskers(points, layers) : []),
      Plot.dot(drawn, {
        x: "score",
        y: ({ node }: Point) => node.effect,
        r: few ? 3.2 : 2,
        fill: ({ node }: Point) => layerColor(node.layer, layers),
        fillOpacity: few ? 0.9 : 0.65,
        title: (point: Point, i: number) => (i < DESCRIBED_POINTS ? describePoint(point) : undefined),
      }),
      ...names(points, low, high),
    ],
  });
}

/** All points, or the strongest half of what a drawing bears and an even sample of the rest; the strongest first. */
function thinned(points: readonly Point[]): Point[] {
  const size = ({ score, node }: Point): number => Math.max(Math.abs(score), Math.abs(node.effect));
  const ordered = [...points].sort((a, b) => size(b) - size(a));
  if (points.length <= MOST_POINTS) return ordered;
  const rest = ordered.slice(MOST_POINTS / 2);
  const step = rest.length / (MOST_POINTS / 2);
  return [
    ...ordered.slice(0, MOST_POINTS / 2),
    ...Array.from({ length: MOST_POINTS / 2 }, (_, i) => rest[Math.floor(i * step)]).filter((one) => one !== undefined),
  ];
}

function fitLine(group: Group | undefined, points: readonly Point[]): Plot.Markish[] {
  const [slope, intercept] = [group?.slope.value ?? null, group?.intercept.value ?? null];
  if (slope === null || intercept === null) return [];
  const first = points[0]?.score ?? 0;
  const least = points.reduce((a, { score }) => Math.min(a, score), first);
  const most = points.reduce((a, { score }) => Math.max(a, score), first);
  const ends = [least, most].map((x) => [x, intercept + slope * x] as [number, number]);
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

/** Labels of the strongest nodes that lie apart from one another. */
function names(points: readonly Point[], low: number, high: number): Plot.Markish[] {
  const apart = 0.09 * (high - low);
  const chosen: Point[] = [];
  const byStrength = [...points].sort((a, b) => Math.abs(b.node.effect) - Math.abs(a.node.effect));
  for (const point of byStrength) {
    if (chosen.length === NAMED_NODES) break;
    const clear = chosen.every(
      ({ score, node }) =>
        Math.abs(score - point.score) > 2 * apart || Math.abs(node.effect - point.node.effect) > apart,
    );
    if (clear) chosen.push(point);
  }
  const middle = (low + high) / 2;
  return [true, false].map((left) =>
    Plot.text(
      chosen.filter(({ score }) => score > middle === left),
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

function padded(low: number, high: number): [number, number] {
  const margin = 0.06 * (high - low || 1);
  return [low - margin, high + margin];
}
