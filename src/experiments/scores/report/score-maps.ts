/** @file Scores by layer and position: a map for each node kind and site. */
import { KINDS, LISTED_KINDS } from "../../../nodes/kinds.js";
import { parseNodeHook } from "../../../nodes/node.js";
import { SITES } from "../../../nodes/site.js";
import { withExample } from "../../../report/example-prompt.js";
import type { Figure } from "../../../report/figure.js";
import { formatNumber } from "../../../report/format-number.js";
import { capitalised, scoreLabel } from "../../../report/labels.js";
import type { ScoresContents } from "./contents.js";
import { isBorrowed } from "../../../sweep/sweep.js";
import { placeMap, type PlaceCell } from "../../../report/place-map.js";

/** A figure for each score that the run holds. */
export function scoreMapFigures(contents: ScoresContents): Figure[] {
  const { scores } = contents;
  return [...scores].flatMap(([name, arrays]) => {
    const cells = [...arrays].flatMap(([hook, { shape, values }]): PlaceCell[] => {
      const at = parseNodeHook(hook);
      const positions = shape[0] ?? 0;
      if (at === undefined || positions === 0) return [];
      const width = values.length / positions;
      return Array.from({ length: positions }, (_, position) => {
        let value = 0;
        for (let i = position * width; i < (position + 1) * width; i++) value += Number(values[i]);
        return { ...at, position, value };
      });
    });
    return cells.length === 0 ? [] : [mapFigure(contents, name, cells)];
  });
}

function mapFigure(contents: ScoresContents, name: string, cells: readonly PlaceCell[]): Figure {
  const { example } = contents;
  const label = scoreLabel(contents, name);
  const isLent = contents.plan.sweep.scores.some((score) => score.name === name && isBorrowed(score));
  const prompts = isLent
    ? "the prompts of the run that they are taken from"
    : contents.plan.evaluated === undefined
      ? "prompts"
      : "the prompts that choose";
  const largest = Math.max(...cells.map(({ value }) => Math.abs(value)).filter(Number.isFinite));
  const panels = LISTED_KINDS.flatMap((kind) =>
    SITES.flatMap((site) => {
      const mine = cells.filter((cell) => cell.kind === kind && cell.site === site);
      const title = `${capitalised(KINDS[kind].plural)}, ${site}`;
      return mine.length === 0 ? [] : [placeMap({ title, what: "score", cells: mine, largest, example })];
    }),
  );
  return {
    id: `scores-${name}`,
    title: `${capitalised(label)}: scores by layer and position`,
    caption: withExample(
      `Mean score over ${prompts} of all nodes of one kind at a layer and position, added up: for features the sum over the site's features. ` +
        "All maps share one scale. Orange raises the incorrect answer when patched, blue lowers it; what is as pale as the page is near zero. Colour follows the square root of the size, so that small scores are seen beside large ones.",
      example,
    ),
    panels,
    columns: 3,
    legend: { kind: "signed", label: "score", largest: formatNumber(largest) },
    table: {
      columns: ["kind", "site", "layer", "position", "score"],
      rows: cells.map(({ kind, site, layer, position, value }) => [kind, site, layer, position, value]),
    },
  };
}
