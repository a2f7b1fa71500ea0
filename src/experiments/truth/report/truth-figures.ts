/** @file Score against true effect: a scatter for each kind and site. */
import { must } from "../../../base/assert.js";
import { INDEX_FIELDS, LISTED_KINDS, type NodeKind } from "../../../nodes/kinds.js";
import { indexColumns, positionColumn } from "../../../nodes/node-columns.js";
import { GLOBAL_POSITION } from "../../../nodes/node.js";
import type { Site } from "../../../nodes/site.js";
import type { Figure } from "../../../report/figure.js";
import { capitalised, scoreLabel, sitesOf } from "../../../report/labels.js";
import { truthDonorOf } from "../../../plan/node-list.js";
import { DONOR_EFFECTS } from "../score-donors.js";
import { entersStatistics } from "../validation-groups.js";
import type { TruthContents } from "./contents.js";
import type { Table } from "../../../report/table.js";
import type { NodeRow } from "./node-row.js";
import { methodOf } from "../../../methods/score-method.js";
import { isCrowded } from "../../../report/axis-scale.js";
import { scatterPanel, type Point } from "./scatter-panel.js";
import { shownNodes } from "./shown-nodes.js";

const PATCHING = { corrupted: "patching it", mean: "setting it to its mean", zero: "setting it to zero" } as const;

/** Why a score of another donor may be far off. */
function donorNote({ plan, methods }: TruthContents, name: string): string {
  const score = must(
    plan.sweep.scores.find((one) => one.name === name),
    name,
  );
  const { donor } = methodOf(methods, score);
  if (donor === truthDonorOf(plan.sweep)) return "";
  return ` This score estimates the effect of ${DONOR_EFFECTS[donor]}, another one than the one measured: agreement is not expected.`;
}

/** Two scatter figures for each score: nodes at their positions, and nodes patched at all positions at once. */
export function truthFigures(contents: TruthContents): Figure[] {
  const { plan, nodes } = contents;
  if (nodes === null || contents.groups === null) return [];
  const shown = new Set(shownNodes(contents));
  return plan.sweep.scores.flatMap(({ name }) =>
    [false, true].flatMap((global) => {
      const points = pointsOf(contents, name).filter(({ node }) => (node.position === GLOBAL_POSITION) === global);
      return points.length === 0 ? [] : [scatterFigure(contents, { name, global, points, shown })];
    }),
  );
}

/** What one figure shows. */
interface Scatter {
  readonly name: string;
  readonly global: boolean;
  readonly points: readonly Point[];
  readonly shown: ReadonlySet<NodeRow>;
}

function scatterFigure(contents: TruthContents, { name, global, points, shown }: Scatter): Figure {
  const { plan } = contents;
  const label = scoreLabel(contents, name);
  const groups = panelGroups(points);
  // One kind of scale for all panels of a figure.
  const scale = groups.some(({ mine }) => isCrowded(mine.flatMap(({ score, node }) => [score, node.effect])))
    ? "symlog"
    : "linear";
  const panels = groups.map(({ kind, site, mine }) =>
    scatterPanel({
      place: { kind, site, global },
      score: { name, label, index: plan.sweep.scores.findIndex((one) => one.name === name) },
      points: mine,
      drawn: mine.filter(({ node }) => shown.has(node)).sort((a, b) => sizeOf(b) - sizeOf(a)),
      group: contents.groups?.find(
        (one) =>
          one.score === name &&
          one.kind === kind &&
          one.site === site &&
          one.position === null &&
          one.global === global,
      ),
      layers: plan.shape.nLayers,
      scale,
    }),
  );
  return {
    id: `truth-${name}${global ? "-global" : ""}`,
    title: `${capitalised(label)} against true patching${global ? ", all positions at once" : ""}`,
    caption:
      `Each point is a node: its mean score over prompts (across) and the measured mean effect of ${PATCHING[truthDonorOf(plan.sweep)]} (up). ` +
      "On the dashed diagonal the score is exact; the solid line is the least-squares fit over the frame. " +
      (scale === "symlog"
        ? "Both axes are symlog, so that few large nodes do not press the others onto the origin: linear around zero, and more and more logarithmic away from it. A straight fit looks bent on them. "
        : "") +
      `Whiskers, where nodes are few, are one standard error by clusters of prompts. The strongest nodes are labelled layer${global ? "" : "·position"}.` +
      donorNote(contents, name),
    panels,
    columns: 3,
    legend: { kind: "layers", count: plan.shape.nLayers },
    table: pointTable(name, points),
  };
}

/** The points of each kind and site. */
function panelGroups(points: readonly Point[]): { kind: NodeKind; site: Site; mine: Point[] }[] {
  return LISTED_KINDS.flatMap((kind) => {
    const ofKind = points.filter(({ node }) => node.kind === kind);
    return sitesOf(ofKind.map(({ node }) => node)).map((site) => ({
      kind,
      site,
      mine: ofKind.filter(({ node }) => node.site === site),
    }));
  });
}

function sizeOf({ score, node }: Point): number {
  return Math.max(Math.abs(score), Math.abs(node.effect));
}

function pointTable(name: string, points: readonly Point[]): Table {
  return {
    columns: [
      "hook",
      "kind",
      "site",
      "layer",
      "position",
      ...INDEX_FIELDS,
      name,
      `${name}_sem`,
      "effect",
      "effect_sem",
      "inclusion_probability",
    ],
    rows: points.map(({ node, score, scoreSem }) => [
      node.hook,
      node.kind,
      node.site,
      node.layer,
      positionColumn(node.position),
      ...indexColumns(node),
      score,
      scoreSem,
      node.effect,
      node.effectSem,
      node.inclusionProbability,
    ]),
  };
}

/** Nodes that enter the statistics. */
function pointsOf({ nodes, firstPatched }: TruthContents, name: string): Point[] {
  return (nodes ?? []).flatMap((node) => {
    const score = node.scores.get(name);
    const means = [node.effect, ...[...node.scores.values()].map(({ mean }) => mean)];
    if (score === undefined || !entersStatistics(node, means, firstPatched)) return [];
    return [{ node, score: score.mean, scoreSem: score.sem }];
  });
}
