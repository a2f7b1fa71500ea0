/** @file The tables of a comparison: what differs, differences of agreement, ranks, and differences of circuits. */
import { LISTED_KINDS } from "../nodes/kinds.js";
import { GLOBAL_POSITION } from "../nodes/node.js";
import { VARIANT_NAMES } from "../experiments/circuits/report/circuit-row.js";
import {
  counted,
  formatCorrelation,
  formatCount,
  formatInterval,
  formatNumber,
  type Bounded,
} from "../report/format-number.js";
import { nodeLabel } from "../report/labels.js";
import type { Interval } from "../stats/bootstrap.js";
import { ENOUGH_CLUSTERS, FEWEST_CLUSTERS } from "../stats/clusters.js";
import { positionName, spelled } from "../tables/agreement-tables.js";
import { kindTitle } from "../tables/kind-title.js";
import { plain, shownAs, type Cell, type Section, type Table } from "../tables/table.js";
import type { AgreementDifference, ComparedStatistic } from "./agreement-differences.js";
import { MEASURES, type CircuitDifference } from "./circuit-differences.js";
import type { Comparison } from "./comparison.js";
import type { KindRanks } from "./kind-ranks.js";
import type { NodeRanks } from "./node-ranks.js";
import type { SweepDifference } from "./sweep-differences.js";

/** What a difference is called. */
export const DIFFERENCE = "B − A";
/** What the statistics are called, as in the report. */
export const STATISTIC_NAMES: Readonly<Record<ComparedStatistic, string>> = {
  pearson: "r",
  spearman: "ρ",
  off: "off",
  slope: "slope",
  size_ratio: "size ratio",
};
const CORRELATIONS: ReadonlySet<ComparedStatistic> = new Set(["pearson", "spearman"]);
const MOST_DECIMALS = 6;

/** Every section that has something to show. */
export function comparisonSections({ a, swept, agreement, ranks, circuits, clusters }: Comparison): Section[] {
  const kinds = LISTED_KINDS.map((kind) => ({
    title: kindTitle(kind, a.plan),
    tables: [
      ...agreementTables(agreement.filter(({ family }) => family.kind === kind), clusters), // prettier-ignore
      ...ranks.filter((one) => one.kind === kind && one.nodes.length > 0).map((one) => rankTable(one, clusters)),
    ],
  }));
  const sections = [
    { title: "What differs", tables: sweepTables(swept) },
    ...kinds,
    { title: "Circuits", tables: MEASURES.flatMap((measure) => circuitTables(circuits, measure, clusters)) },
  ];
  return sections.filter(({ tables }) => tables.length > 0);
}

function sweepTables(swept: readonly SweepDifference[]): Table[] {
  if (swept.length === 0) return [];
  const rows = swept.map(({ field, a, b }) => [plain(field), plain(a), plain(b)]);
  return [{ title: "Sweep and environment", columns: ["field", "A", "B"], rows, grouped: false }];
}

function agreementTables(differences: readonly AgreementDifference[], clusters: number): Table[] {
  if (differences.length === 0) return [];
  const rows = differences.map(({ family: { site, global }, scores, n, isSame, statistic, a, b, difference }) => [
    plain(global ? `${site}, ${positionName(GLOBAL_POSITION)}` : site),
    plain(pairLabel(scores)),
    countCell(n, isSame),
    plain(STATISTIC_NAMES[statistic]),
    ...[a, b].map((interval) => estimate(interval, CORRELATIONS.has(statistic) ? formatCorrelation : formatInterval)),
    estimate(difference),
  ]);
  return [
    {
      title: `Agreement with the true effects over the frame${noteOf(clusters, " and the drawn nodes")}`,
      columns: ["nodes", "score", "n", "statistic", "A", "B", DIFFERENCE],
      rows,
      grouped: true,
    },
  ];
}

function rankTable({ global, n, places, columns, nodes }: KindRanks, clusters: number): Table {
  const where = global ? ", all positions at once" : "";
  const frame = Math.round(places) === n ? "" : `, which stand for ${formatCount(places)}`;
  return {
    title: `Ranks of the largest effects among ${counted(n, "measured node")}${frame}${where}${noteOf(clusters)}`,
    columns: ["node", ...columns],
    rows: nodes.map(({ node, ranks }) => [plain(rankedLabel(node)), ...ranks.map(rankCell)]),
    grouped: false,
  };
}

function rankedLabel(node: NodeRanks["node"]): string {
  return `${node.site} ${node.layer}, ${positionName(node.position)}, ${nodeLabel(node)}`;
}

function circuitTables(
  differences: readonly CircuitDifference[],
  measure: CircuitDifference["measure"],
  clusters: number,
): Table[] {
  const own = differences.filter((one) => one.measure === measure && (one.a.value !== null || one.b.value !== null));
  if (own.length === 0) return [];
  const rows = own.map(({ circuit, threshold, sizes, a, b, difference }) => [
    // An experiment is called what its sweep calls it, be it the name of a variant.
    plain(Number.isNaN(threshold) ? circuit : (VARIANT_NAMES[circuit] ?? circuit)),
    Number.isNaN(threshold) ? plain("–") : shownAs(threshold.toPrecision(2), threshold),
    ...sizes.map((size) => shownAs(formatCount(size), size)),
    ...[a, b, difference].map((interval) => estimate(interval)),
  ]);
  return [
    {
      title: `${measure === "faithfulness" ? "Faithfulness" : "Completeness"}, paired by prompt${noteOf(clusters)}`,
      columns: ["circuit", "score at least", "nodes in A", "nodes in B", "A", "B", DIFFERENCE],
      rows,
      grouped: true,
    },
  ];
}

/** Estimators that are compared: one name where both sides have it. */
export function pairLabel([a, b]: readonly [string, string]): string {
  return a === b ? spelled(a) : `A ${spelled(a)}, B ${spelled(b)}`;
}

/** Nodes of both sides: one number where they are the same nodes. */
function countCell([a, b]: readonly [number, number], isSame: boolean): Cell {
  return plain(isSame && a === b ? a : `${a}, ${b} others`);
}

function estimate(
  { value, low, high }: Interval,
  format: (bounded: Bounded) => string = (bounded) => formatInterval(bounded, MOST_DECIMALS),
): Cell {
  return { text: format({ value, low, high }), value: { value, low, high } };
}

/** A rank is a whole number, or lies in the middle of places that several nodes share. */
function rankCell(rank: Interval): Cell {
  const place = (number: number): string => formatCount(number);
  const { value, low, high } = rank;
  const bounds = low === null || high === null ? "" : ` [${place(low)}, ${place(high)}]`;
  return { text: value === null ? formatNumber(null) : `${place(value)}${bounds}`, value: { value, low, high } };
}

/** What an interval is called: one of 95 % only where its coverage was measured to be so (docs/reference.md). */
export function noteOf(clusters: number, beside = ""): string {
  if (clusters < FEWEST_CLUSTERS)
    return ` (no interval: ${clusters === 1 ? "1 cluster of prompts is" : `${formatCount(clusters)} clusters of prompts are`} too few)`;
  const called = clusters < ENOUGH_CLUSTERS ? "rough interval" : "95 %";
  return ` [${called} over ${formatCount(clusters)} clusters of prompts${beside}]`;
}
