/** @file A figure: panels drawn by Observable Plot, with a legend and the table of what is drawn. */
import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import { sha256 } from "../base/hash.js";
import { Markup, markup, escapeText } from "./markup.js";
import { LAYER_STOPS, NEGATIVE, POSITIVE, shadeOf } from "./palette.js";
import type { Table } from "./table.js";

/** One set of axes. */
export interface Panel {
  readonly title: string;
  /** Lines under the title: the numbers that belong to the panel. */
  readonly notes: readonly string[];
  /** The drawing, an `<svg>` element. */
  readonly svg: string;
  readonly width: number;
  readonly height: number;
  /** What the page's script is told of the panel, by name: attributes `data-NAME` of it, as JSON. */
  readonly asked?: Readonly<Record<string, object>>;
}

/** What the colours mean. */
export type Legend =
  | { readonly kind: "layers"; readonly count: number }
  | { readonly kind: "signed"; readonly label: string; readonly largest: string }
  | {
      readonly kind: "series";
      readonly entries: readonly { readonly label: string; readonly color: string; readonly dash: string }[];
    };

/** A figure of the report; also a file `report/<id>.svg` with its table `report/<id>.csv`. */
export interface Figure {
  /** Letters, digits and dashes. */
  readonly id: string;
  readonly title: string;
  /** How to read it. */
  readonly caption: string;
  readonly panels: readonly Panel[];
  /** Panels in one row of the standalone file. */
  readonly columns: number;
  readonly legend: Legend | null;
  readonly table: Table;
}

// The types of both libraries name the browser's DOM, which this project does not compile with.
const plot = Plot.plot as unknown as (options: object) => { readonly outerHTML: string };
const parse = parseHTML as unknown as (html: string) => { readonly document: object };

const GEOMETRY = /\b(d|x|y|x1|x2|y1|y2|cx|cy|r|width|height|transform|points)="([^"]*)"/g;

/** Rounds coordinates to a hundredth of a pixel: smaller files, the same picture. Text is left alone. */
function roundCoordinates(svg: string): string {
  return svg.replace(GEOMETRY, (_, name: string, value: string) => {
    const rounded = value.replace(/-?\d+\.\d{3,}/g, (number) => String(Number(Number(number).toFixed(2))));
    return `${name}="${rounded}"`;
  });
}

/** Plot numbers clip paths through the life of the process; named by content they are the same each time. */
function nameClips(svg: string): string {
  const numbers = [...new Set([...svg.matchAll(/plot-clip-(\d+)/g)].map((match) => match[1] ?? ""))];
  const place = (number: string): string => String(numbers.indexOf(number));
  const numbered = svg.replace(/plot-clip-(\d+)/g, (_, number: string) => `plot-clip-${place(number)}`);
  return numbered.replaceAll("plot-clip-", `clip-${sha256(numbered).slice(0, 10)}-`);
}

/** Draws a panel. Width and height are those of the axes with their margins. */
export function drawPanel(title: string, notes: readonly string[], options: Plot.PlotOptions): Panel {
  const { document } = parse("<!doctype html><html><body></body></html>");
  const { width = 290, height = 250 } = options;
  const drawn = plot({ ...options, width, height, document });
  const svg = nameClips(roundCoordinates(drawn.outerHTML))
    .replace(/<style>.*?<\/style>/s, "")
    // A group without a role has no name for readers of a screen; its mark is kept for the page's script.
    .replace(/(<g [^>]*?)aria-label=/g, "$1data-mark=")
    .replace("<svg ", `<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="${escapeText(title)}" `);
  return { title, notes, svg, width, height };
}

const LEGEND_HEIGHT = 22;
/** Shares of the largest value where the ramp's colour is given: dense near zero, where it changes quickest. */
const SIGNED_STOPS = [-1, -0.6, -0.3, -0.1, -0.03, 0, 0.03, 0.1, 0.3, 0.6, 1];

/** The legend as one line of SVG elements, with its width. */
function legendLine(legend: Legend, figureId: string): { elements: Markup; width: number } {
  if (legend.kind === "series") {
    let x = 0;
    const elements = legend.entries.map(({ label, color, dash }) => {
      const start = x;
      x += 44 + 6.4 * label.length;
      return markup`<line x1="${start}" x2="${start + 22}" y1="11" y2="11" stroke="${color}" stroke-width="2.5" stroke-dasharray="${dash}"/><text x="${start + 28}" y="15">${label}</text>`;
    });
    return { elements: markup`${elements}`, width: x };
  }
  const stops =
    legend.kind === "layers"
      ? LAYER_STOPS.map((color, i) => markup`<stop offset="${i / (LAYER_STOPS.length - 1)}" stop-color="${color}"/>`)
      : SIGNED_STOPS.map(
          (place) =>
            markup`<stop offset="${(place + 1) / 2}" stop-color="${place < 0 ? NEGATIVE : POSITIVE}" stop-opacity="${Number(shadeOf(place, 1).toFixed(3))}"/>`,
        );
  const [label, low, high] =
    legend.kind === "layers"
      ? ["layer", "0", String(legend.count - 1)]
      : [legend.label, `−${legend.largest}`, legend.largest];
  const id = `ramp-${figureId}`;
  const from = 24 + 6.4 * (label.length + low.length);
  return {
    elements: markup`<defs><linearGradient id="${id}">${stops}</linearGradient></defs>
<text x="0" y="15">${label}</text><text x="${from - 6}" y="15" text-anchor="end">${low}</text>
<rect x="${from}" y="5" width="120" height="12" rx="2" fill="url(#${id})" stroke="currentColor" stroke-opacity="0.25"/>
<text x="${from + 126}" y="15">${high}</text>`,
    width: from + 130 + 6.4 * high.length,
  };
}

/** The legend as an inline `<svg>`. */
export function legendSvg(legend: Legend, figureId: string): Markup {
  const { elements, width } = legendLine(legend, figureId);
  return markup`<svg class="legend" role="img" aria-label="legend" width="${Math.ceil(width)}" height="${LEGEND_HEIGHT}" viewBox="0 0 ${Math.ceil(width)} ${LEGEND_HEIGHT}" fill="currentColor" font-family="system-ui, sans-serif" font-size="12">${elements}</svg>`;
}

const [MARGIN, GAP, TITLE_HEIGHT, NOTE_HEIGHT] = [20, 16, 34, 15];

/** The whole figure as a file. It follows the reader's colour scheme and brings its own background. */
export function standaloneSvg(figure: Figure): string {
  const { panels, legend } = figure;
  const columns = Math.max(1, Math.min(figure.columns, panels.length));
  const cellWidth = Math.max(...panels.map(({ width }) => width)) + GAP;
  const head = 20 + NOTE_HEIGHT * Math.max(...panels.map(({ notes }) => notes.length));
  const cellHeight = Math.max(...panels.map(({ height }) => height)) + head + GAP;
  const top = MARGIN + TITLE_HEIGHT + (legend === null ? 0 : LEGEND_HEIGHT + 10);
  const legendWidth = legend === null ? 0 : legendLine(legend, figure.id).width;
  const width = Math.ceil(Math.max(columns * cellWidth - GAP, legendWidth, 7.5 * figure.title.length) + 2 * MARGIN);
  const height = Math.ceil(top + Math.ceil(panels.length / columns) * cellHeight - GAP + MARGIN);
  const cells = panels.map(({ title, notes, svg }, i) => {
    const [x, y] = [MARGIN + (i % columns) * cellWidth, top + Math.floor(i / columns) * cellHeight];
    const lines = notes.map(
      (note, line) =>
        markup`<text x="${x}" y="${y + 27 + line * NOTE_HEIGHT}" font-size="11" opacity="0.75">${note}</text>`,
    );
    const drawing = new Markup(svg.replace("<svg ", `<svg x="${String(x)}" y="${String(y + head)}" `));
    return markup`<text x="${x}" y="${y + 12}" font-size="12" font-weight="600">${title}</text>${lines}${drawing}`;
  });
  const body = markup`<svg xmlns="http://www.w3.org/2000/svg" class="figure" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" fill="currentColor" font-family="system-ui, sans-serif" font-size="12">
<title>${figure.title}</title><desc>${figure.caption}</desc>
<style>.figure{color:#1f2430}.surface{fill:#fff}text{white-space:pre}@media(prefers-color-scheme:dark){.figure{color:#e4e6eb}.surface{fill:#14171c}}</style>
<rect class="surface" width="${width}" height="${height}" rx="8"/>
<text x="${MARGIN}" y="${MARGIN + 12}" font-size="15" font-weight="600">${figure.title}</text>
${legend !== null && markup`<g transform="translate(${MARGIN},${MARGIN + TITLE_HEIGHT - 8})">${legendLine(legend, figure.id).elements}</g>`}
${cells}
</svg>
`;
  return body.text;
}
