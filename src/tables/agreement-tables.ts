/**
 * @file How each score of a run agrees with the true effects, for the nodes of one kind: by site, by position, by layers, and node by
 * node.
 *
 * 1. Node means over prompts are compared. The nodes are those of `validation.json`: one enters for all scores, where its mean effect or
 *    any mean score is not 0, and then in every resample.
 * 2. Every statistic has a 95 % percentile interval of a bootstrap over the prompts' clusters, paired between scores and groups.
 * 3. `off` is summed |score - effect| over summed |effect|: 0 is exact, and a
 *    score of 0 everywhere gives 1.
 */
import { must } from "../base/assert.js";
import type { NodeKind } from "../nodes/kinds.js";
import { comparePositions, GLOBAL_POSITION, type Node } from "../nodes/node.js";
import { SITES } from "../nodes/site.js";
import { nodeLabel } from "../report/labels.js";
import type { Group } from "../experiments/truth/report/validation-file.js";
import { enteringMembers } from "../experiments/truth/validation-groups.js";
import { RANGES } from "../stats/agreement.js";
import { percentileInterval } from "../stats/bootstrap.js";
import { shownInterval } from "../stats/validation.js";
import { leastSquares, pearson, relativeError, signAgreement, spearman } from "../stats/correlation.js";
import { bounded, plain, type Cell, type Table } from "./table.js";
import { EFFECT, type BootstrappedMeans, type MeansByName, type TruthMatrices } from "./truth-matrices.js";

/** Groups of fewer nodes are left out. */
const FEWEST_NODES = 3;
/** Nodes of a smaller effect have no share of it worth a number. */
const LEAST_EFFECT = 0.3;

/** What each statistic is called in `src/stats`. */
const NAMES = ["pearson", "spearman", "sign_agreement", "slope", "off"] as const;
const RANGE_OF = NAMES.map((name) => RANGES[name]);

type Statistic = (score: Float64Array, effect: Float64Array) => number;

const STATISTICS: Readonly<Record<string, Statistic>> = {
  r: (score, effect) => pearson(score, effect),
  ρ: (score, effect) => spearman(score, effect),
  "same sign": (score, effect) => signAgreement(score, effect),
  slope: (score, effect) => leastSquares(score, effect).slope,
  off: (score, effect) => relativeError(score, effect),
};

/** Statistics of validation.json, which weighs each node by the inverse of its chance to be drawn. */
const WEIGHTED = { r: "pearson", ρ: "spearman", "same sign": "sign_agreement", slope: "slope" } as const;

/** Usual spellings of the names that the demos and most sweeps give their scores. Others stand as the sweep has them. */
const SPELLINGS: Readonly<Record<string, string>> = { atp: "AtP", relp: "RelP", ig: "IG" };

/** Some of the nodes, under a name. */
interface NodeGroup {
  readonly label: string;
  readonly holds: (node: Node) => boolean;
}

/**
 * Every table of one kind.
 * @param groups - of validation.json, of the kind: all positions together, without nodes patched at all positions at once.
 */
export function agreementTables(
  kind: NodeKind,
  truth: TruthMatrices,
  means: BootstrappedMeans,
  groups: readonly Group[],
): Table[] {
  const by = (title: string, among: readonly NodeGroup[]): Table => agreementTable(truth, means, title, among);
  return [
    ...(wasDrawn(groups) ? [weightedTable(groups)] : []),
    by("By site", bySite()),
    by("By site and position", bySiteAndPosition(truth)),
    by("By site and layers", bySiteAndLayers(truth.nodes)),
    shareTable(kind, truth, means),
  ];
}

function bySite(): NodeGroup[] {
  return SITES.map((site) => ({ label: site, holds: (node) => node.site === site }));
}

function bySiteAndPosition({ nodes, spans }: TruthMatrices): NodeGroup[] {
  const positions = [...new Set(nodes.map(({ position }) => position))].sort(comparePositions);
  return SITES.flatMap((site) =>
    positions.map((position) => ({
      label: `${site}, ${positionName(position, spans)}`,
      holds: (node: Node) => node.site === site && node.position === position,
    })),
  );
}

/** By thirds of the model. */
function bySiteAndLayers(nodes: readonly Node[]): NodeGroup[] {
  const layers = 1 + Math.max(...nodes.map(({ layer }) => layer));
  const thirds = [0, 1, 2].map((k) => ({
    from: Math.floor((k * layers) / 3),
    to: Math.floor(((k + 1) * layers) / 3) - 1,
  }));
  return SITES.flatMap((site) =>
    thirds.map(({ from, to }) => ({
      label: `${site}, ${layersName(nodes, from, to)}`,
      holds: (node: Node) => node.site === site && node.layer >= from && node.layer <= to,
    })),
  );
}

/** `position 4`, or the name of the span that it is. */
export function positionName(position: Node["position"], spans?: readonly string[]): string {
  return position === GLOBAL_POSITION ? "all positions at once" : (spans?.at(position) ?? `position ${position}`);
}

/** The layers from one to another that have nodes. */
function layersName(nodes: readonly Node[], from: number, to: number): string {
  const layers = [...new Set(nodes.map(({ layer }) => layer))]
    .filter((layer) => layer >= from && layer <= to)
    .sort((a, b) => a - b);
  const isRange = layers.length > 1 && layers.length === to - from + 1;
  return `layer${layers.length > 1 ? "s" : ""} ${isRange ? `${from}–${to}` : layers.join(", ")}`;
}

function agreementTable(
  { nodes, scores, firstPatched }: TruthMatrices,
  means: BootstrappedMeans,
  title: string,
  groups: readonly NodeGroup[],
): Table {
  const entering = enteringMembers(nodes, [...means.estimate.values()], firstPatched);
  const rows = groups.flatMap(({ label, holds }) =>
    scores.flatMap((score) => {
      const members = nodes.flatMap((node, i) => (holds(node) && entering[i] === 1 ? [i] : []));
      if (members.length < FEWEST_NODES) return [];
      return [[plain(label), plain(spelled(score)), plain(members.length), ...statisticsOf(means, score, members)]];
    }),
  );
  return { title, columns: ["nodes", "score", "n", ...Object.keys(STATISTICS)], rows, grouped: true };
}

/** Every statistic of some nodes. */
function statisticsOf(
  { estimate, draws, clusters }: BootstrappedMeans,
  score: string,
  members: readonly number[],
): Cell[] {
  const pick = (means: MeansByName, name: string): Float64Array => {
    const values = valuesOf(means, name);
    return Float64Array.from(members, (i) => must(values[i], "mean"));
  };
  const statisticsIn = (means: MeansByName): number[] => {
    const [scored, effects] = [pick(means, score), pick(means, EFFECT)];
    return Object.values(STATISTICS).map((statistic) => statistic(scored, effects));
  };
  const replicates = draws.map(statisticsIn);
  return statisticsIn(estimate).map((value, s) =>
    bounded(
      shownInterval(
        percentileInterval(
          value,
          Float64Array.from(replicates, (values) => must(values[s], "replicate")),
          clusters,
        ),
        must(RANGE_OF[s], "range"),
        members.length,
      ),
    ),
  );
}

/** Score over effect, node by node, where the effect is not small. */
function shareTable(
  kind: NodeKind,
  { nodes, scores, spans }: TruthMatrices,
  { estimate, draws, clusters }: BootstrappedMeans,
): Table {
  const cellOf = (value: (means: MeansByName) => number): Cell =>
    bounded(percentileInterval(value(estimate), Float64Array.from(draws, value), clusters));
  const effectOf = (means: MeansByName, i: number): number => must(valuesOf(means, EFFECT)[i], "effect");
  const rows = nodes.flatMap((node, i) => {
    if (Math.abs(effectOf(estimate, i)) < LEAST_EFFECT) return [];
    const shares = scores.map((score) =>
      cellOf((means) => must(valuesOf(means, score)[i], "score") / effectOf(means, i)),
    );
    const within = kind === "site" ? "" : `, ${nodeLabel(node)}`;
    const place = `${node.site} ${node.layer}, ${positionName(node.position, spans)}${within}`;
    return [[plain(place), cellOf((means) => effectOf(means, i)), ...shares]];
  });
  return {
    title: `Score as a share of the true effect, node by node (effects of at least ${LEAST_EFFECT})`,
    columns: ["node", "effect", ...scores.map((score) => `${spelled(score)} / effect`)],
    rows,
    grouped: false,
  };
}

/** Whether nodes were drawn: where all were taken their weights are 1, and change nothing. */
function wasDrawn(groups: readonly Group[]): boolean {
  return groups.some(({ pearson, weighted }) => pearson.value !== weighted.pearson.value);
}

/** What validation.json says of all nodes from which those that were measured were drawn. */
function weightedTable(groups: readonly Group[]): Table {
  const rows = SITES.flatMap((site) =>
    groups
      .filter((group) => group.site === site)
      .map(({ score, n, weighted }) => [
        plain(site),
        plain(spelled(score)),
        plain(n),
        ...Object.values(WEIGHTED).map((name) => bounded(weighted[name])),
      ]),
  );
  return {
    title: "By site, weighted by the inverse of the chance to be drawn",
    columns: ["nodes", "score", "n", ...Object.keys(WEIGHTED)],
    rows,
    grouped: true,
  };
}

function valuesOf(means: MeansByName, name: string): Float64Array {
  return must(means.get(name), name);
}

/** A score as tables spell it. */
export function spelled(score: string): string {
  return SPELLINGS[score] ?? score;
}
