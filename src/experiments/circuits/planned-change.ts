/** @file Where an evaluation first changes anything, as far as the plan says before scores are known. */
import { must } from "../../base/assert.js";
import { parseNodeHook } from "../../nodes/node.js";
import type { NodeChoice } from "../../nodes/custom-configuration.js";
import { tokenCounts } from "../../plan/held-out.js";
import type { SetContext } from "../../plan/resolve-set.js";
import { scorelessContext } from "../../plan/set-context.js";
import { placesOfSet } from "../../plan/set-places.js";
import type { Plan } from "../../plan/plan.js";
import { earlyLayers, type Evaluation } from "./evaluations.js";
import { earliest, type FirstChange } from "./first-change.js";
import type { SetUse } from "./points.js";
import { circuitsSpecOf } from "./spec.js";

const EVERYWHERE: FirstChange = { layer: 0, position: 0 };

/** Where each evaluation changes prompts of `positions` tokens first; the scores may have it later. */
export function plannedChanges(plan: Plan, evaluations: readonly Evaluation[], positions: number): FirstChange[] {
  const context = scorelessContext({ ...plan, lengths: tokenCounts(plan) });
  return evaluations.map((evaluation) => plannedChange({ plan, context, positions }, evaluation));
}

/** What an evaluation is looked at with. */
interface Given {
  readonly plan: Plan;
  readonly context: SetContext;
  readonly positions: number;
}

function plannedChange({ plan, context, positions }: Given, evaluation: Evaluation): FirstChange {
  const { nLayers } = plan.shape;
  const nowhere = { layer: nLayers, position: positions - 1 };
  const exempt = (isExempt: boolean): FirstChange => ({ layer: isExempt ? earlyLayers(nLayers) : 0, position: 0 });
  switch (evaluation.kind) {
    case "full":
      return nowhere;
    case "empty":
      return exempt(evaluation.exemptEarlyLayers);
    case "circuit":
    case "complement":
      return exempt(circuitsSpecOf(plan.sweep)?.exempt_early_layers === true);
    case "custom": {
      const { ablate, restore, threshold } = evaluation.experiment;
      if (threshold !== null) return EVERYWHERE;
      return earliest([nowhere, ...[ablate, restore].flatMap((choice) => choiceChanges(choice, positions))]);
    }
    case "point": {
      const { keep, ablate, restore } = evaluation.point.sets;
      if (keep !== undefined) return EVERYWHERE;
      return earliest([nowhere, ...[ablate, restore].flatMap((use) => useChanges(context, use, positions))]);
    }
  }
}

function choiceChanges({ nodes, features, positions: named }: NodeChoice, positions: number): FirstChange[] {
  const position = Math.min(...(named ?? [0]).map((one) => fromStart(one, positions)));
  return [...nodes, ...Object.keys(features)].map((hook) => ({ layer: layerOf(hook), position }));
}

function useChanges(context: SetContext, use: SetUse | undefined, positions: number): FirstChange[] {
  if (use === undefined) return [];
  return Array.from(placesOfSet(use.expression, context), ([hook, named]) => ({
    layer: layerOf(hook),
    position: Math.min(...Array.from(named, (one) => fromStart(one, positions))),
  }));
}

/** A position from the start; those that the length lacks are of no prompt. */
function fromStart(position: number, positions: number): number {
  const placed = position < 0 ? position + positions : position;
  return placed < 0 || placed >= positions ? positions - 1 : placed;
}

function layerOf(hook: string): number {
  return must(parseNodeHook(hook), hook).layer;
}
