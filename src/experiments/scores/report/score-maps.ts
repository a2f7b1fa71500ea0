/** @file Scores by layer and position: a map for each node kind and site. */
import * as Plot from "@observablehq/plot";
import { KINDS, LISTED_KINDS, type NodeKind } from "../../../nodes/kinds.js";
import { parseNodeHook } from "../../../nodes/node.js";
import { SITES, type Site } from "../../../nodes/site.js";
import { spacedTicks } from "../../../report/axis-ticks.js";
import { drawPanel, type Figure, type Panel } from "../../../report/figure.js";
import { formatNumber, formatShort } from "../../../report/format-number.js";
import { capitalised, scoreLabel } from "../../../report/labels.js";
import type { ScoresContents } from "./contents.js";
import { NEGATIVE, POSITIVE } from "../../../report/palette.js";

/** Score of all nodes of a kind at one place, added up. */
interface Cell {
  readonly kind: NodeKind;
  readonly site: Site;
  readonly layer: number;
  readonly position: number;
  readonly score: number;
}

/** A figure for each score that the run holds. */
export function scoreMapFigures(contents: ScoresContents): Figure[] {
  const { scores } = contents;
  return [...scores].flatMap(([name, arrays]) => {
    const cells = [...arrays].flatMap(([hook, { shape, values }]): Cell[] => {
      const at = parseNodeHook(hook);
      const positions = shape[0] ?? 0;
      if (at === undefined || positions === 0) return [];
      const width = values.length / positions;
      return Array.from({ length: positions }, (_, position) => {
        let score = 0;
        for (let i = position * width; i < (position + 1) * width; i++) score += Number(values[i]);
        return { ...at, position, score };
      });
    });
    return cells.length === 0 ? [] : [mapFigure(scoreLabel(contents, name), name, cells)];
  });
}

function mapFigure(label: string, name: string, cells: readonly Cell[]): Figure {
  const largest = Math.max(...cells.map(({ score }) => Math.abs(score)).filter(Number.isFinite));
  const panels = LISTED_KINDS.flatMap((kind) =>
    SITES.flatMap((site) => {
      const mine = cells.filter((cell) => cell.kind === kind && cell.site === site);
      return mine.length === 0 ? [] : [mapPanel(`${capitalised(KINDS[kind].plural)}, ${site}`, mine, largest)];
    }),
  );
  return {
    id: `scores-${name}`,
    title: `${capitalised(label)}: scores by layer and position`,
    caption:
      "Mean score over prompts of all nodes of one kind at a layer and position, added up: for features the sum over the site's features. " +
      "All maps share one scale. Orange raises the incorrect answer when patched, blue lowers it; what is as pale as the page is near zero.",
    panels,
    columns: 3,
    legend: { kind: "signed", label: "score", largest: formatNumber(largest) },
    table: {
      columns: ["kind", "site", "layer", "position", "score"],
      rows: cells.map(({ kind, site, layer, position, score }) => [kind, site, layer, position, score]),
    },
  };
}

function mapPanel(title: string, cells: readonly Cell[], largest: number): Panel {
  const layers = [...new Set(cells.map(({ layer }) => layer))].sort((a, b) => a - b);
  const positions = [...new Set(cells.map(({ position }) => position))].sort((a, b) => a - b);
  const roomy = positions.length <= 8 && layers.length <= 12;
  return drawPanel(title, [], {
    width: 290,
    height: Math.min(420, 58 + Math.max(9, Math.min(24, 190 / layers.length)) * layers.length),
    marginLeft: 36,
    marginTop: 18,
    marginBottom: 34,
    marginRight: 8,
    x: {
      type: "band",
      domain: positions,
      label: "position →",
      labelAnchor: "right",
      ticks: spacedTicks(positions, 13),
      tickSize: 0,
      padding: 0.06,
    },
    y: {
      type: "band",
      domain: layers.toReversed(),
      label: "↑ layer",
      labelAnchor: "top",
      ticks: spacedTicks(layers, 14),
      tickSize: 0,
      padding: 0.06,
    },
    marks: [
      Plot.cell([...cells], { x: "position", y: "layer", fill: "currentColor", fillOpacity: 0.05 }),
      Plot.cell([...cells], {
        x: "position",
        y: "layer",
        fill: ({ score }: Cell) => (score < 0 ? NEGATIVE : POSITIVE),
        fillOpacity: ({ score }: Cell) => (largest > 0 ? Math.abs(score) / largest : 0),
        title: ({ layer, position, score }: Cell) =>
          `layer ${String(layer)}, position ${String(position)}\nscore ${formatNumber(score)}`,
      }),
      roomy
        ? Plot.text(
            cells.filter(({ score }) => Math.abs(score) >= largest / 40),
            {
              x: "position",
              y: "layer",
              text: ({ score }: Cell) => formatShort(score, largest),
              fontSize: 8.5,
              fillOpacity: 0.85,
            },
          )
        : null,
    ],
  });
}
