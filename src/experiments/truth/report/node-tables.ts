/** @file The strongest nodes, and the nodes where a score is furthest from the truth. */
import { INDEX_FIELDS } from "../../../nodes/kinds.js";
import { globalColumn, indexColumns, positionColumn } from "../../../nodes/node-columns.js";
import { formatCount, formatInterval, formatNumber } from "../../../report/format-number.js";
import { nodeLabel, positionLabel, scoreLabel } from "../../../report/labels.js";
import { around } from "../../../report/normal-interval.js";
import { mainScore, type TruthContents } from "./contents.js";
import { htmlTable, numberColumn, stacked, textColumn, type HtmlColumn, type Table } from "../../../report/table.js";
import type { Content, Markup } from "../../../report/markup.js";
import { spansOf } from "../../../plan/span-positions.js";
import { askedName } from "../../../report/node-index.js";
import type { NodeRow } from "./node-row.js";

const STRONGEST = 25;
const WORST = 10;

const PLACE: readonly HtmlColumn[] = [
  textColumn("site"),
  numberColumn("layer"),
  numberColumn("position"),
  textColumn("node"),
];

/** Nodes by |effect|, descending; ties in file order. */
function strongest(nodes: readonly NodeRow[]): NodeRow[] {
  return nodes
    .filter(({ effect }) => Number.isFinite(effect) && effect !== 0)
    .sort((a, b) => Math.abs(b.effect) - Math.abs(a.effect));
}

/** The strongest nodes, or null where no truth was measured. */
export function strongestTable(contents: TruthContents): Markup | null {
  const { plan, nodes } = contents;
  if (nodes === null) return null;
  const names = plan.sweep.scores.map(({ name }) => name);
  const columns: HtmlColumn[] = [
    ...PLACE,
    numberColumn("prompts"),
    numberColumn("effect"),
    numberColumn("share of m’s shift"),
    ...names.map((name) => numberColumn(scoreLabel(contents, name))),
  ];
  const rows = strongest(nodes).slice(0, STRONGEST);
  return htmlTable(
    `The ${String(rows.length)} nodes with the largest measured effects`,
    columns,
    rows.map((node) => [
      ...placeCells(node, contents),
      formatCount(node.n),
      stacked(formatInterval(around(node.effect, node.effectSem))),
      formatNumber(node.normalised, 2),
      ...names.map((name) => {
        const score = node.scores.get(name);
        return stacked(score === undefined ? "" : formatInterval(around(score.mean, score.sem)));
      }),
    ]),
  );
}

/** Where the main score is furthest from the truth, or null. */
export function worstTable(contents: TruthContents): Markup | null {
  const { nodes } = contents;
  const name = mainScore(contents);
  if (nodes === null || name === undefined) return null;
  const miss = (node: NodeRow): number => (node.scores.get(name)?.mean ?? Number.NaN) - node.effect;
  const rows = nodes
    .filter((node) => Number.isFinite(miss(node)) && miss(node) !== 0)
    .sort((a, b) => Math.abs(miss(b)) - Math.abs(miss(a)))
    .slice(0, WORST);
  return htmlTable(
    `The ${String(rows.length)} nodes where ${scoreLabel(contents, name)} is furthest off`,
    [...PLACE, numberColumn("score"), numberColumn("effect"), numberColumn("score − effect")],
    rows.map((node) => [
      ...placeCells(node, contents),
      formatNumber(node.scores.get(name)?.mean ?? null),
      stacked(formatInterval(around(node.effect, node.effectSem))),
      formatNumber(miss(node)),
    ]),
  );
}

/** All measured nodes by |effect|, for `report/strongest-nodes.csv`. */
export function strongestCsv({ plan, nodes }: TruthContents): Table {
  const names = plan.sweep.scores.map(({ name }) => name);
  return {
    columns: [
      "hook",
      "kind",
      "site",
      "layer",
      "position",
      ...INDEX_FIELDS,
      "global",
      "n",
      "effect",
      "effect_sem",
      "normalised",
      ...names,
    ],
    rows: strongest(nodes ?? []).map((node) => [
      node.hook,
      node.kind,
      node.site,
      node.layer,
      positionColumn(node.position),
      ...indexColumns(node),
      globalColumn(node.position),
      node.n,
      node.effect,
      node.effectSem,
      node.normalised,
      ...names.map((name) => node.scores.get(name)?.mean ?? null),
    ]),
  };
}

function placeCells(node: NodeRow, { plan }: TruthContents): Content[] {
  const position = positionLabel(node.position, spansOf(plan.sweep));
  return [node.site, String(node.layer), position, askedName(node, nodeLabel(node))];
}
