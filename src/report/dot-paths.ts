/** @file Very many points of few colours, as one path for each colour: a tenth of the text that circles take. */
import type * as Plot from "@observablehq/plot";

/** One point in the units of the axes. */
export interface ColoredPoint {
  readonly x: number;
  readonly y: number;
  readonly color: string;
}

/** What is used of the browser's document, which this project does not compile with. */
interface Drawing {
  setAttribute(name: string, value: string): void;
  append(...children: Drawing[]): void;
}
interface DrawContext {
  readonly document: { createElementNS(namespace: string, name: string): Drawing };
}
interface DrawScales {
  readonly x: (value: number) => number;
  readonly y: (value: number) => number;
}

const SVG = "http://www.w3.org/2000/svg";

/** A mark that draws points as lines of no length with round ends. */
export function dotPaths(
  points: readonly ColoredPoint[],
  { radius, opacity }: { readonly radius: number; readonly opacity: number },
): Plot.Markish {
  const render = (
    _index: unknown,
    scales: DrawScales,
    ...[, , context]: [values: unknown, size: unknown, context: DrawContext]
  ): Drawing => {
    const group = context.document.createElementNS(SVG, "g");
    group.setAttribute("aria-label", "points");
    for (const color of new Set(points.map((point) => point.color))) {
      const mine = points.filter((point) => point.color === color);
      const path = context.document.createElementNS(SVG, "path");
      path.setAttribute("d", mine.map(({ x, y }) => `M${tenth(scales.x(x))} ${tenth(scales.y(y))}h0`).join(""));
      path.setAttribute("stroke", color);
      group.append(path);
    }
    group.setAttribute("stroke-width", String(2 * radius));
    group.setAttribute("stroke-linecap", "round");
    group.setAttribute("stroke-opacity", String(opacity));
    return group;
  };
  return points.length === 0 ? null : (render as unknown as Plot.Markish);
}

/** A coordinate to a tenth of a pixel. */
function tenth(pixels: number): string {
  return String(Math.round(10 * pixels) / 10);
}
