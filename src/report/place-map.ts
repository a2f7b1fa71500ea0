/** @file Maps of layers against positions, with a coloured cell for each place: panels of score maps and of effect maps. */
import * as Plot from "@observablehq/plot";
import type { NodeKind } from "../nodes/kinds.js";
import { comparePositions } from "../nodes/node.js";
import type { Site } from "../nodes/site.js";
import { spacedTicks } from "./axis-ticks.js";
import { positionAxis, tokenAt, type ExamplePrompt } from "./example-prompt.js";
import { drawPanel, type Panel } from "./figure.js";
import { formatNumber, formatShort } from "./format-number.js";
import { NEGATIVE, POSITIVE, shadeOf } from "./palette.js";

/** A number of all nodes of a kind at one place, added up. */
export interface PlaceCell {
  readonly kind: NodeKind;
  readonly site: Site;
  readonly layer: number;
  readonly position: number;
  readonly value: number;
}

/** What a map shows. */
export interface PlaceMap {
  readonly title: string;
  /** What the cells' numbers are, in what is shown where a cell is pointed at. */
  readonly what: string;
  /** Of one kind and site. */
  readonly cells: readonly PlaceCell[];
  /** The size whose colour is full. */
  readonly largest: number;
  /** Whose tokens stand at the positions. */
  readonly example: ExamplePrompt | null;
}

/** Draws it. */
export function placeMap({ title, what, cells, largest, example }: PlaceMap): Panel {
  const layers = ascending(cells.map(({ layer }) => layer));
  const positions = ascending(cells.map(({ position }) => position)).sort(comparePositions);
  const roomy = positions.length <= 8 && layers.length <= 12;
  const { axis, room } = positionAxis(example);
  const band = { type: "band", tickSize: 0, padding: 0.06 } as const;
  const panel = drawPanel(title, [], {
    width: 290,
    height: room + Math.min(420, 58 + Math.max(9, Math.min(24, 190 / layers.length)) * layers.length),
    marginLeft: 36,
    marginTop: 18,
    marginBottom: 34 + room,
    marginRight: 8,
    x: {
      ...band,
      ...axis,
      domain: positions,
      label: "position →",
      labelAnchor: "right",
      ticks: spacedTicks(positions, 13),
    },
    y: {
      ...band,
      domain: layers.toReversed(),
      label: "↑ layer",
      labelAnchor: "top",
      ticks: spacedTicks(layers, 14),
    },
    marks: [
      Plot.cell([...cells], { x: "position", y: "layer", fill: "currentColor", fillOpacity: 0.05 }),
      Plot.cell([...cells], {
        x: "position",
        y: "layer",
        fill: ({ value }: PlaceCell) => (value < 0 ? NEGATIVE : POSITIVE),
        fillOpacity: ({ value }: PlaceCell) => Number(shadeOf(value, largest).toFixed(3)),
        title: ({ layer, position, value }: PlaceCell) =>
          `layer ${String(layer)}, position ${String(position)}${tokenAt(example, position)}\n${what} ${formatNumber(value)}`,
      }),
      roomy ? numbers(cells, largest) : null,
    ],
  });
  const [first] = cells;
  return first === undefined
    ? panel
    : { ...panel, svg: groundAsPath(panel.svg), asked: { map: { kind: first.kind, site: first.site } } };
}

/** The pale ground of all cells as one path: a quarter of the text that a rectangle for each takes. */
function groundAsPath(svg: string): string {
  return svg.replace(
    /(<g [^>]*fill-opacity="0.05"[^>]*data-mark="cell">)((?:<rect [^>]*\/>)+)<\/g>/,
    (_, open: string, rects: string) => {
      const paths = [...rects.matchAll(/<rect ([^>]*)\/>/g)].map(([, attributes = ""]) => {
        const of = (name: string): string => new RegExp(`\\b${name}="([^"]*)"`).exec(attributes)?.[1] ?? "";
        return `M${of("x")} ${of("y")}h${of("width")}v${of("height")}h-${of("width")}z`;
      });
      return `${open}<path d="${paths.join("")}"/></g>`;
    },
  );
}

/** The numbers in their cells, but those near nothing. */
function numbers(cells: readonly PlaceCell[], largest: number): Plot.Markish {
  return Plot.text(
    cells.filter(({ value }) => Math.abs(value) >= largest / 100),
    {
      x: "position",
      y: "layer",
      text: ({ value }: PlaceCell) => formatShort(value, largest),
      fontSize: 8.5,
      fillOpacity: 0.85,
    },
  );
}

function ascending(values: readonly number[]): number[] {
  return [...new Set(values)].sort((a, b) => a - b);
}
