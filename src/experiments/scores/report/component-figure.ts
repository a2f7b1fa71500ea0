/** @file The factors of AtP scores: how far a node moves, how steep the metric is there, and whether the two align. */
import * as Plot from "@observablehq/plot";
import { parseNodeHook } from "../../../nodes/node.js";
import { SITES } from "../../../nodes/site.js";
import { KINDS, LISTED_KINDS } from "../../../nodes/kinds.js";
import { tokenAt } from "../../../report/example-prompt.js";
import { drawPanel, type Figure, type Panel } from "../../../report/figure.js";
import { formatNumber } from "../../../report/format-number.js";
import { capitalised } from "../../../report/labels.js";
import type { ScoresContents } from "./contents.js";
import { NEGATIVE, POSITIVE } from "../../../report/palette.js";
import type { ComponentRow } from "./component-row.js";

/** A node that moves and has a gradient. */
interface Point extends ComponentRow {
  readonly title: string;
  readonly layer: number;
  /** Where it is, in words. */
  readonly place: string;
}

/** The figure, or none where the run holds no components. */
export function componentFigures({ components, example }: ScoresContents): Figure[] {
  if (components === null || components.length === 0) return [];
  const points = components.flatMap((row): Point[] => {
    const at = parseNodeHook(row.hook);
    if (at === undefined || !(row.deltaNorm > 0) || !(row.gradNorm > 0)) return [];
    const place = `layer ${String(at.layer)}, position ${String(row.position)}${tokenAt(example, row.position)}`;
    return [{ ...row, title: `${capitalised(KINDS[at.kind].plural)}, ${at.site}`, layer: at.layer, place }];
  });
  const titles = LISTED_KINDS.flatMap((kind) =>
    SITES.map((site) => `${capitalised(KINDS[kind].plural)}, ${site}`),
  ).filter((title) => points.some((point) => point.title === title));
  const largest = Math.max(0, ...points.map(({ dot }) => Math.abs(dot)));
  const panels = (["gradNorm", "cosine"] as const).flatMap((across) =>
    titles.map((title) =>
      componentPanel(
        title,
        across,
        points.filter((point) => point.title === title),
        points,
        largest,
      ),
    ),
  );
  return [
    {
      id: "components",
      title: "What AtP scores are made of",
      caption:
        "score = ‖activation difference‖ × ‖gradient‖ × cosine. Each point is a node (layer and position); norms and cosine are means over prompts. " +
        "Top row: how far the node moves against how steep the metric is there. Bottom row: how far it moves against how well the two align. " +
        "Colour is the score. Nodes that do not move (positions before the first difference) or have no gradient are left out.",
      panels,
      columns: Math.max(1, titles.length),
      legend: { kind: "signed", label: "score", largest: formatNumber(largest) },
      table: {
        columns: ["hook", "position", "delta_norm", "grad_norm", "cosine", "dot"],
        rows: components.map((row) => [row.hook, row.position, row.deltaNorm, row.gradNorm, row.cosine, row.dot]),
      },
    },
  ];
}

const ACROSS_LABELS = { gradNorm: "gradient norm →", cosine: "cosine →" };

function componentPanel(
  title: string,
  across: "gradNorm" | "cosine",
  points: readonly Point[],
  all: readonly Point[],
  largest: number,
): Panel {
  // One scale for all panels of a row, so that they can be compared.
  const norms = all.map(({ deltaNorm }) => deltaNorm);
  const gradients = all.map(({ gradNorm }) => gradNorm);
  const reach = Math.min(1, 1.12 * Math.max(...all.map(({ cosine }) => Math.abs(cosine))));
  const panel = drawPanel(title, [], {
    width: 230,
    height: 210,
    marginLeft: 42,
    marginTop: 20,
    marginBottom: 36,
    marginRight: 12,
    x:
      across === "cosine"
        ? { domain: [-reach, reach], ticks: 3, label: ACROSS_LABELS.cosine, labelAnchor: "right", tickSize: 3 }
        : { ...normScale(gradients), label: ACROSS_LABELS.gradNorm, labelAnchor: "right" },
    y: { ...normScale(norms), label: "↑ difference norm" },
    marks: [
      across === "cosine" ? Plot.ruleX([0], { strokeOpacity: 0.25 }) : null,
      Plot.dot([...points], {
        x: across,
        y: "deltaNorm",
        r: 4,
        fill: ({ dot }: Point) => (dot < 0 ? NEGATIVE : POSITIVE),
        // The outline keeps weak nodes visible.
        fillOpacity: ({ dot }: Point) => (largest > 0 ? Math.abs(dot) / largest : 0),
        stroke: ({ dot }: Point) => (dot < 0 ? NEGATIVE : POSITIVE),
        strokeOpacity: 0.55,
        strokeWidth: 1,
        title: ({ place, deltaNorm, gradNorm, cosine, dot }: Point) =>
          `${place}
difference norm ${formatNumber(deltaNorm)}
gradient norm ${formatNumber(gradNorm)}
cosine ${formatNumber(cosine)}
score ${formatNumber(dot)}`,
      }),
    ],
  });
  const at = parseNodeHook(points[0]?.hook ?? "");
  return at === undefined ? panel : { ...panel, asked: { map: { kind: at.kind, site: at.site } } };
}

/** Logarithmic where the norms span more than a factor of thirty. */
function normScale(norms: readonly number[]): Plot.ScaleOptions {
  const [low, high] = [Math.min(...norms), Math.max(...norms)];
  const shared = { tickSize: 3, tickFormat: formatTick };
  return high / low > 30
    ? { ...shared, type: "log", domain: [low / 1.25, high * 1.25], ticks: 3 }
    : { ...shared, domain: [0, high * 1.06], ticks: 4 };
}

/** The digits that a tick has: multiples of 1, 2 or 5 have one or two. */
function formatTick(value: number): string {
  const isOneDigit = Number(value.toPrecision(1)) === Number(value.toPrecision(6));
  return formatNumber(value, isOneDigit ? 1 : 2);
}
