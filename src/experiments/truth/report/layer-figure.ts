/** @file True effects and the scores that estimate them, layer by layer, where the effects are largest. */
import * as Plot from "@observablehq/plot";
import { KINDS, LISTED_KINDS } from "../../../nodes/kinds.js";
import { comparePositions, GLOBAL_POSITION } from "../../../nodes/node.js";
import type { Site } from "../../../nodes/site.js";
import { spacedTicks } from "../../../report/axis-ticks.js";
import { tokenAt, withExample, type ExamplePrompt } from "../../../report/example-prompt.js";
import { drawPanel, type Figure, type Panel } from "../../../report/figure.js";
import { formatNumber } from "../../../report/format-number.js";
import { capitalised, sitesOf } from "../../../report/labels.js";
import { estimates, type TruthContents } from "./contents.js";
import { seriesStyle } from "../../../report/palette.js";
import type { NodeRow } from "./node-row.js";
import { scoreSeries } from "./score-series.js";

/** Positions that are drawn. */
const POSITIONS = 2;
/** Layers that are labelled. */
const MOST_TICKS = 13;
/** Kinds with one node for each layer, site and position. */
const SINGLE_KINDS = LISTED_KINDS.filter((kind) => KINDS[kind].index === null);

/** A figure for each kind, or none where no such node was measured. */
export function layerFigures(contents: TruthContents): Figure[] {
  const { plan, nodes } = contents;
  const scores = estimates(contents);
  const placed = (nodes ?? []).filter(isPlaced).filter(({ effect }) => Number.isFinite(effect));
  return SINGLE_KINDS.flatMap((kind) => {
    const mine = placed.filter((node) => node.kind === kind);
    const positions = strongestPositions(mine);
    const shown = mine.filter(({ position }) => positions.includes(position));
    if (shown.length === 0 || plan.shape.nLayers < 2) return [];
    const legend = scoreSeries(contents, scores);
    return [
      {
        id: `layers-${kind}`,
        title: `${capitalised(KINDS[kind].plural)}: effect and scores by layer`,
        caption: withExample(
          `Mean over prompts, at the ${positions.length === 1 ? "position" : "positions"} with the largest effects. ` +
            "The band is ± 1.96 standard errors of the true effect, over clusters of prompts. Where a score's line leaves it, the estimate is off by what lies between.",
          contents.example,
        ),
        panels: positions.flatMap((position) =>
          sitesOf(shown).map((site) =>
            layerPanel(
              shown.filter((node) => node.site === site && node.position === position),
              { site, position, scores, nLayers: plan.shape.nLayers, example: contents.example },
            ),
          ),
        ),
        columns: sitesOf(shown).length,
        legend: { kind: "series", entries: [{ label: "true effect", color: "currentColor", dash: "none" }, ...legend] },
        table: {
          columns: ["site", "position", "layer", "effect", "effect_sem", ...scores],
          rows: shown.map(({ site, position, layer, effect, effectSem, scores: means }) => [
            site,
            position,
            layer,
            effect,
            effectSem,
            ...scores.map((name) => means.get(name)?.mean ?? null),
          ]),
        },
      },
    ];
  });
}

/** A node at one position. */
type PlacedRow = NodeRow & { readonly position: number };

function isPlaced(node: NodeRow): node is PlacedRow {
  return node.position !== GLOBAL_POSITION;
}

/** The positions whose nodes have the largest effects in sum, ascending. */
function strongestPositions(nodes: readonly PlacedRow[]): number[] {
  const sums = new Map<number, number>();
  for (const { position, effect } of nodes) sums.set(position, (sums.get(position) ?? 0) + Math.abs(effect));
  return [...sums]
    .sort(([, a], [, b]) => b - a)
    .slice(0, POSITIONS)
    .map(([position]) => position)
    .sort(comparePositions);
}

/** One estimate at one layer. */
interface Point {
  readonly layer: number;
  readonly value: number;
}

/** Where a panel's nodes are, and what all panels share. */
interface LayerPanel {
  readonly site: Site;
  readonly position: number;
  readonly scores: readonly string[];
  readonly nLayers: number;
  readonly example: ExamplePrompt | null;
}

function layerPanel(nodes: readonly PlacedRow[], { site, position, scores, nLayers, example }: LayerPanel): Panel {
  const mine = [...nodes].sort((a, b) => a.layer - b.layer);
  const place = `position ${String(position)}${tokenAt(example, position)}`;
  const points = scores.map((name) =>
    mine.flatMap(({ layer, scores: means }): Point[] => {
      const value = means.get(name)?.mean;
      return value === undefined ? [] : [{ layer, value }];
    }),
  );
  const text = ({ layer, effect, scores: means }: NodeRow): string =>
    [
      `layer ${String(layer)}, ${place}`,
      `true effect ${formatNumber(effect)}`,
      ...scores.map((name) => `${name} ${formatNumber(means.get(name)?.mean ?? null)}`),
    ].join("\n");
  const panel = drawPanel(`${site}, ${place}`, [], {
    width: 290,
    height: 200,
    marginLeft: 40,
    marginBottom: 34,
    marginTop: 24,
    marginRight: 10,
    x: {
      domain: [0, nLayers - 1],
      // Plot's own ticks fall between layers where there are few, and are then labelled with the layer beside.
      ticks: spacedTicks([...Array(nLayers).keys()], MOST_TICKS),
      tickFormat: String,
      label: "layer →",
      labelAnchor: "right",
      tickSize: 3,
    },
    y: { label: "↑ change of m", ticks: 5, tickSize: 3, grid: true, nice: true },
    marks: [
      Plot.ruleY([0], { strokeOpacity: 0.35 }),
      Plot.areaY(mine, {
        x: "layer",
        y1: ({ effect, effectSem }: NodeRow) => effect - 1.96 * effectSem,
        y2: ({ effect, effectSem }: NodeRow) => effect + 1.96 * effectSem,
        fill: "currentColor",
        fillOpacity: 0.15,
      }),
      ...points.map((line, i) =>
        Plot.line(line, {
          x: "layer",
          y: "value",
          stroke: seriesStyle(i).color,
          strokeWidth: 1.6,
          strokeDasharray: seriesStyle(i).dash,
        }),
      ),
      Plot.line(mine, { x: "layer", y: "effect", stroke: "currentColor", strokeWidth: 1.8 }),
      Plot.dot(mine, { x: "layer", y: "effect", r: 2.2, fill: "currentColor", title: text }),
    ],
  });
  const [some] = mine;
  return some === undefined ? panel : { ...panel, asked: { map: { kind: some.kind, site } } };
}
