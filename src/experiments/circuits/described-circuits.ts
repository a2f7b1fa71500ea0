/** @file Everything that the tables say of a circuit before its metrics are read: what it is called, how many nodes it has, which evaluations are its. */
import { must } from "../../base/assert.js";
import { ABLATED, type Intervention, LIVE } from "../../nodes/intervention.js";
import type { NodeCounts } from "../../nodes/kinds.js";
import { interventionOfSets, type PaintedSet } from "../../nodes/list-interventions.js";
import type { NodeLists } from "../../nodes/node-lists.js";
import { addCounts, countNodes, uniformSite, zeroCounts } from "../../nodes/node-states.js";
import type { NodeScores } from "../../nodes/selection.js";
import { siteHook } from "../../nodes/site.js";
import { tokenCounts } from "../../plan/held-out.js";
import type { Plan } from "../../plan/plan.js";
import { chooseCircuit, chooseCustom } from "./evaluation-interventions.js";
import { circuitSites } from "../../plan/circuit-sites.js";
import { emptyIndex, type Evaluation } from "./evaluations.js";
import type { AxisLabel } from "./grid.js";
import { pointSizes } from "./point-rows.js";
import { type Point, pointsOf } from "./points.js";
import { circuitsSpecOf } from "./spec.js";

/** The variant of custom configurations. */
export const CUSTOM = "custom";

/** A circuit before its metrics are read. */
export interface DescribedCircuit {
  readonly labels: {
    readonly circuit: string;
    readonly experiment: string;
    readonly variant: string;
    readonly ablation: string;
    readonly keep: string;
  };
  readonly axes: ReadonlyMap<string, AxisLabel>;
  readonly exempt: boolean;
  readonly threshold: number;
  readonly counts: Record<string, number>;
  /** Sum of the scores of what it ablates, where it asks for that; NaN elsewhere. */
  readonly beside: number;
  /** Indexes of its evaluations; null where its complement was not evaluated. */
  readonly circuit: number;
  readonly complement: number | null;
  readonly empty: number;
}

/** The threshold circuits and the custom configurations. */
export function describedCircuits(
  plan: Plan,
  evaluations: readonly Evaluation[],
  scores: NodeScores | null,
): DescribedCircuit[] {
  const spec = circuitsSpecOf(plan.sweep);
  return evaluations.flatMap((evaluation, circuit): DescribedCircuit[] => {
    if (evaluation.kind !== "circuit" && evaluation.kind !== "custom") return [];
    const { ablation } = evaluation;
    const isCustom = evaluation.kind === "custom";
    const exempt = !isCustom && spec?.exempt_early_layers === true;
    const { threshold } = isCustom ? evaluation.experiment : evaluation.circuit;
    const keep = isCustom ? evaluation.experiment.threshold?.keep : spec?.keep;
    const { name } = isCustom ? evaluation.experiment : evaluation.circuit;
    return [
      {
        labels: {
          circuit: name,
          experiment: isCustom ? name : "circuits",
          variant: isCustom ? CUSTOM : evaluation.circuit.variant,
          ablation,
          keep: keep ?? "none",
        },
        axes: new Map(),
        exempt,
        threshold: typeof threshold === "number" ? threshold : (threshold?.value ?? Number.NaN),
        counts: countsOf(plan, evaluation, scores),
        beside: Number.NaN,
        circuit,
        complement: evaluations[circuit + 1]?.kind === "complement" ? circuit + 1 : null,
        empty: emptyIndex(evaluations, { ablation, exemptEarlyLayers: exempt }),
      },
    ];
  });
}

/** The points of configurations on sets; those that do the same share their evaluation. */
export function describedPoints(
  plan: Plan,
  evaluations: readonly Evaluation[],
  { sets, sums }: { readonly sets: ReadonlyMap<string, NodeLists>; readonly sums: ReadonlyMap<string, number> },
): DescribedCircuit[] {
  const indexOfSide = (side: "circuit" | "complement"): ReadonlyMap<string, number> =>
    new Map(evaluations.flatMap((one, e) => (one.kind === "point" && one.side === side ? [[one.point.key, e]] : [])));
  const [circuits, complements] = [indexOfSide("circuit"), indexOfSide("complement")];
  return pointsOf(plan.sweep).map((point): DescribedCircuit => {
    const { ablation, keep } = point.configuration;
    const exempt = point.sets.exempt?.key;
    return {
      labels: {
        circuit: point.circuit,
        experiment: point.experiment,
        variant: CUSTOM,
        ablation,
        keep: keep === undefined ? "none" : "set",
      },
      axes: point.axes,
      exempt: false,
      threshold: Number.NaN,
      counts: countsOfPoint(plan, point, sets),
      beside: sums.get(point.circuit) ?? Number.NaN,
      circuit: must(circuits.get(point.key), point.circuit),
      complement: complements.get(point.key) ?? null,
      empty: emptyIndex(evaluations, { ablation, exemptEarlyLayers: false, exempt }),
    };
  });
}

/** Columns of the numbers of nodes. */
const COUNT_COLUMNS: Readonly<Record<keyof NodeCounts, string>> = {
  nFeatures: "n_features",
  nErrorsResid: "n_errors_resid",
  nErrorsOther: "n_errors_other",
  nSites: "n_sites",
  nHeads: "n_heads",
  nNeurons: "n_neurons",
};

function countsOf(
  plan: Plan,
  evaluation: Extract<Evaluation, { kind: "circuit" | "complement" | "custom" }>,
  scores: NodeScores | null,
): Record<string, number> {
  const longest = tokenCounts(plan).longest;
  if (evaluation.kind === "custom") {
    const { intervention, ...counts } = chooseCustom(plan, evaluation.experiment, scores, longest);
    const live = countLive(plan, intervention, longest);
    return {
      ...spread("", live),
      ...spread("not_ablated_", live),
      nodes_ablated: counts.nodesAblated,
      nodes_restored: counts.nodesRestored,
      nodes_named_by_both: counts.nodesNamedByBoth,
    };
  }
  const { circuit, counts, notAblated } = chooseCircuit(plan, evaluation.circuit, must(scores, "scores"), longest);
  return {
    ...spread("", counts),
    ...spread("not_ablated_", notAblated),
    nodes_ablated: countNodes(circuit, ABLATED),
    nodes_restored: 0,
    nodes_named_by_both: 0,
  };
}

/** The same of a point: what is kept before its exemption, and what is not ablated after. */
function countsOfPoint(plan: Plan, point: Point, sets: ReadonlyMap<string, NodeLists>): Record<string, number> {
  const longest = tokenCounts(plan).longest;
  const { keep } = point.sets;
  const { intervention, nodesAblated, nodesRestored, nodesNamedByBoth } = pointSizes(plan, point, sets);
  const live = countLive(plan, intervention, longest);
  const kept: PaintedSet[] = keep === undefined ? [] : [{ nodes: must(sets.get(keep.key), keep.set), state: LIVE }];
  const named =
    keep === undefined
      ? live
      : countLive(plan, interventionOfSets(circuitSites(plan), longest, ABLATED, kept), longest);
  return {
    ...spread("", named),
    ...spread("not_ablated_", live),
    nodes_ablated: nodesAblated,
    nodes_restored: nodesRestored,
    nodes_named_by_both: nodesNamedByBoth,
  };
}

function spread(prefix: string, counts: NodeCounts): Record<string, number> {
  return Object.fromEntries(
    Object.entries(COUNT_COLUMNS).map(([count, name]) => [prefix + name, counts[count as keyof NodeCounts]]),
  );
}

/** Nodes that an intervention does not ablate. */
function countLive(plan: Plan, intervention: Intervention, positions: number): NodeCounts {
  const counts = zeroCounts();
  for (const at of circuitSites(plan)) {
    const states = intervention.get(siteHook(at)) ?? uniformSite(at, positions, LIVE);
    addCounts(counts, at, states, (nodes) => nodes.filter((state) => state !== ABLATED).length);
  }
  return counts;
}
