/** @file From an evaluation of the plan to what it does to every node, for prompts of one length. */
import { must, unreachable } from "../../base/assert.js";
import { type NodeChoice, type ResolvedConfiguration, resolveConfiguration } from "../../nodes/custom-configuration.js";
import { ABLATED, type Intervention, LIVE, RESTORED } from "../../nodes/intervention.js";
import { interventionOfSets, type PaintedSet } from "../../nodes/list-interventions.js";
import type { NodeLists } from "../../nodes/node-lists.js";
import { emptyIntervention } from "../../nodes/node-states.js";
import { type ChosenCircuit, interventionFromScores, type NodeScores } from "../../nodes/selection.js";
import { earlyLayers, type Evaluation, type ThresholdCircuit } from "./evaluations.js";
import { circuitSites } from "../../plan/circuit-sites.js";
import type { Plan } from "../../plan/plan.js";
import type { SetUse } from "./points.js";
import { circuitsSpecOf, type ExperimentSpec } from "./spec.js";

/** The nodes that a threshold circuit keeps, for prompts of `length` tokens. */
export function chooseCircuit(
  plan: Plan,
  circuit: ThresholdCircuit,
  scores: NodeScores,
  length: number,
): ChosenCircuit {
  const { keep, exempt_early_layers: exempt } = must(circuitsSpecOf(plan.sweep), "circuits");
  const { variant, threshold } = circuit;
  const exemptLayers = exempt ? earlyLayers(plan.shape.nLayers) : 0;
  return interventionFromScores({
    sites: circuitSites(plan),
    positions: length,
    scores,
    threshold,
    keep,
    variant,
    exemptLayers,
  });
}

/** The nodes of a custom configuration, for prompts of `length` tokens; positions that the length lacks name nothing. */
export function chooseCustom(
  plan: Plan,
  experiment: ExperimentSpec,
  scores: NodeScores | null,
  length: number,
): ResolvedConfiguration {
  const within = ({ nodes, features, positions }: NodeChoice): NodeChoice => ({
    nodes,
    features,
    positions: positions?.filter((position) => position < length && position >= -length) ?? null,
  });
  const configuration = { ...experiment, ablate: within(experiment.ablate), restore: within(experiment.restore) };
  return resolveConfiguration(configuration, plan.saes, length, scores);
}

/** What evaluations read beside the plan: scores where they rank nodes, and the sets of configurations, by key. */
export interface Choices {
  readonly scores: NodeScores | null;
  readonly sets: ReadonlyMap<string, NodeLists>;
}

/** What a point does to every node, or what its complement does. */
export function interventionOfPoint(
  plan: Plan,
  { point, side }: Pick<Extract<Evaluation, { kind: "point" }>, "point" | "side">,
  sets: Choices["sets"],
  length: number,
): Intervention {
  const { keep, without, ablate, restore, exempt } = point.sets;
  const painted = (use: SetUse | undefined, state: number): PaintedSet[] =>
    use === undefined ? [] : [{ nodes: must(sets.get(use.key), use.set), state }];
  const always = [...painted(restore, RESTORED), ...painted(exempt, LIVE)];
  const sites = circuitSites(plan);
  if (keep === undefined) return interventionOfSets(sites, length, LIVE, [...painted(ablate, ABLATED), ...always]);
  return side === "circuit"
    ? interventionOfSets(sites, length, ABLATED, [...painted(keep, LIVE), ...always])
    : interventionOfSets(sites, length, LIVE, [...painted(keep, ABLATED), ...painted(without, ABLATED), ...always]);
}

/** What `evaluation` does to every node. */
export function interventionOfEvaluation(
  plan: Plan,
  evaluation: Evaluation,
  { scores, sets }: Choices,
  length: number,
): Intervention {
  switch (evaluation.kind) {
    case "full":
      return new Map();
    case "empty":
      if (evaluation.exempt !== undefined)
        return interventionOfSets(circuitSites(plan), length, ABLATED, [
          { nodes: must(sets.get(evaluation.exempt), "exempt"), state: LIVE },
        ]);
      return emptyIntervention(
        circuitSites(plan),
        length,
        evaluation.exemptEarlyLayers ? earlyLayers(plan.shape.nLayers) : 0,
      );
    case "circuit":
    case "complement":
      return chooseCircuit(plan, evaluation.circuit, must(scores, "scores"), length)[evaluation.kind];
    case "custom":
      return chooseCustom(plan, evaluation.experiment, scores, length).intervention;
    case "point":
      return interventionOfPoint(plan, evaluation, sets, length);
    default:
      return unreachable(evaluation);
  }
}
