/** @file From an evaluation of the plan to what it does to every node, for prompts of one length. */
import { must, unreachable } from "../../base/assert.js";
import { type NodeChoice, type ResolvedConfiguration, resolveConfiguration } from "../../nodes/custom-configuration.js";
import type { Intervention } from "../../nodes/intervention.js";
import { KINDS, type SliceKind } from "../../nodes/kinds.js";
import { type CircuitSite, emptyIntervention } from "../../nodes/node-states.js";
import { type ChosenCircuit, interventionFromScores, type NodeScores } from "../../nodes/selection.js";
import { type Site, SITES, sitesOfLayers } from "../../nodes/site.js";
import { earlyLayers, type Evaluation, type ThresholdCircuit } from "./evaluations.js";
import type { Plan } from "../../plan/plan.js";
import { type CircuitsSpec, circuitsSpecOf, type ExperimentSpec } from "./spec.js";

/** What circuits without SAEs are made of in every layer. A whole resid_post is no node: it holds everything that was computed before it. */
const SLICES: Readonly<Record<NonNullable<CircuitsSpec["nodes"]>, Readonly<Partial<Record<Site, SliceKind>>>>> = {
  sites: { attn_z: "site", mlp_out: "site" },
  heads: { attn_z: "head", mlp_out: "site" },
  neurons: { mlp_post: "neuron" },
};

/** The sites that circuits are made of: those of the SAEs, or, without SAEs, those of {@link SLICES}. */
export function circuitSites({ saes, shape, sweep }: Plan): readonly CircuitSite[] {
  if (saes.length > 0) return saes;
  const kinds = SLICES[circuitsSpecOf(sweep)?.nodes ?? "sites"];
  return sitesOfLayers(SITES, shape.nLayers).flatMap((at) => {
    const kind = kinds[at.site];
    return kind === undefined ? [] : [{ ...at, kind, slices: KINDS[kind].perPosition({ ...shape, dSae: 0 }) }];
  });
}

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

/** What `evaluation` does to every node. @param scores - needed by circuits, complements and thresholded configurations. */
export function interventionOfEvaluation(
  plan: Plan,
  evaluation: Evaluation,
  scores: NodeScores | null,
  length: number,
): Intervention {
  switch (evaluation.kind) {
    case "full":
      return new Map();
    case "empty":
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
    default:
      return unreachable(evaluation);
  }
}
