/** @file Score against true effect: a scatter for each kind and site, and the correlation at each position. */
import * as Plot from "@observablehq/plot";
import type { NodeKind, Site } from "../circuit/site.js";
import { drawPanel, type Figure, type Panel } from "./figure.js";
import { formatCorrelation, formatCount, formatInterval, formatNumber } from "./format-number.js";
import { familiesOf, KIND_NAMES, nodeLabel, positionLabel, sitesOf } from "./labels.js";
import { layerColor, SERIES } from "./palette.js";
import { scoreLabel, type Group, type NodeRow, type RunContents } from "./run-contents.js";

/** Nodes above which whiskers and labels would hide the points. */
const FEW_NODES = 60;
/** Strongest nodes that are named in a panel. */
const NAMED_NODES = 4;

/** One point of a scatter. */
interface Point {
  readonly node: NodeRow;
  readonly score: number;
  readonly scoreSem: number;
}

/** A scatter figure for each score and kind. */
export function truthFigures(contents: RunContents): Figure[] {
  const { plan, nodes } = contents;
  if (nodes === null || contents.groups === null) return [];
  return plan.sweep.scores.flatMap(({ name }) =>
    familiesOf(nodes).map(({ kind, global }) => scatterFigure(contents, name, kind, global)),
  );
}

function scatterFigure(contents: RunContents, name: string, kind: NodeKind, global: boolean): Figure {
  const { plan } = contents;
  const label = scoreLabel(plan, name);
  const points = pointsOf(contents, name).filter(({ node }) => node.kind === kind && node.global === global);
  const panels = sitesOf(points.map(({ node }) => node)).map((site) => {
    const group = contents.groups?.find(
      (one) =>
        one.score === name && one.kind === kind && one.site === site && one.position === null && one.global === global,
    );
    return scatterPanel(
      label,
      site,
      points.filter(({ node }) => node.site === site),
      group,
      plan.shape.nLayers,
    );
  });
  const many = points.length > FEW_NODES * panels.length;
  return {
    id: `truth-${name}-${kind}${global ? "-global" : ""}`,
    title: `${label} against true patching: ${KIND_NAMES[kind]}${global ? ", all positions at once" : ""}`,
    caption:
      "Each point is a node: its mean score over prompts (across) and the measured mean effect of patching it (up). " +
      "On the dashed diagonal the score is exact; the solid line is the least-squares fit. " +
      (many ? "" : "Whiskers are one standard error over prompts. ") +
      "The strongest nodes are labelled layer·position.",
    panels,
    columns: 3,
    legend: { kind: "layers", count: plan.shape.nLayers },
    table: {
      columns: [
        "hook",
        "layer",
        "position",
        "feature",
        "head",
        name,
        `${name}_sem`,
        "effect",
        "effect_sem",
        "inclusion_probability",
      ],
      rows: points.map(({ node, score, scoreSem }) => [
        node.hook,
        node.layer,
        node.position,
        node.feature,
        node.head,
        score,
        scoreSem,
        node.effect,
        node.effectSem,
        node.inclusionProbability,
      ]),
    },
  };
}

/** Nodes that enter the statistics: score or effect is not zero. */
function pointsOf({ nodes }: RunContents, name: string): Point[] {
  return (nodes ?? []).flatMap((node) => {
    const score = node.scores.get(name);
    if (score === undefined || !(score.mean !== 0 || node.effect !== 0) || Number.isNaN(node.effect)) return [];
    return [{ node, score: score.mean, scoreSem: score.sem }];
  });
}

function scatterPanel(
  label: string,
  site: Site,
  points: readonly Point[],
  group: Group | undefined,
  layers: number,
): Panel {
  const reach = points.flatMap(({ score, node }) => [score, node.effect]);
  const [low, high] = padded(Math.min(0, ...reach), Math.max(0, ...reach));
  const few = points.length <= FEW_NODES;
  const notes =
    group === undefined
      ? []
      : [
          `r = ${formatCorrelation(group.pearson)}   n = ${formatCount(group.n)}`,
          `slope ${formatInterval(group.slope)}`,
        ];
  const axis = { domain: [low, high], ticks: 5, tickSize: 3, tickFormat: (value: number) => formatNumber(value, 2) };
  return drawPanel(site, notes, {
    width: 290,
    height: 270,
    marginLeft: 46,
    marginBottom: 38,
    marginTop: 20,
    marginRight: 10,
    x: { ...axis, label: `${label} score →`, labelAnchor: "right" },
    y: { ...axis, label: "↑ true effect" },
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
      Plot.dot([...points], {
        x: "score",
        y: ({ node }: Point) => node.effect,
        r: few ? 3.2 : 2,
        fill: ({ node }: Point) => layerColor(node.layer, layers),
        fillOpacity: few ? 0.9 : 0.65,
        title: describePoint,
      }),
      ...names(points, low, high),
    ],
  });
}

function fitLine(group: Group | undefined, points: readonly Point[]): Plot.Markish[] {
  const [slope, intercept] = [group?.slope.value ?? null, group?.intercept.value ?? null];
  if (slope === null || intercept === null) return [];
  const scores = points.map(({ score }) => score);
  const ends = [Math.min(...scores), Math.max(...scores)].map((x) => [x, intercept + slope * x] as [number, number]);
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
        text: ({ node }: Point) => `${String(node.layer)}${node.global ? "" : `·${String(node.position)}`}`,
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
        `${KIND_NAMES[kind]}, ${site}`,
        groups.filter((group) => group.kind === kind && group.site === site),
        positions,
      ),
    ),
  );
  return {
    id: `positions-${name}`,
    title: `${label}: correlation with true effects at each position`,
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
  return drawPanel(title, [], {
    width: 290,
    height: 170,
    marginLeft: 36,
    marginBottom: 34,
    marginTop: 16,
    marginRight: 10,
    x: { type: "point", domain: positions, label: "position →", labelAnchor: "right", tickSize: 3, padding: 0.6 },
    y: { domain: [-1, 1], ticks: [-1, -0.5, 0, 0.5, 1], label: "↑ r", tickSize: 3, grid: true },
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
