/** @file Faults of a sweep's circuits and custom configurations. */
import {
  checkFeature,
  checkNodeHook,
  checkPosition,
  hasSaes,
  NO_PAIRS,
  NO_SAES,
  unknownScores,
} from "../../plan/check-nodes.js";
import { findClash, partsIn } from "../../nodes/custom-configuration.js";
import { fitOf, NO_FIT } from "../../plan/fit-spec.js";
import type { PlanContext } from "../../plan/plan-part.js";
import { setsOf } from "../../plan/set-expression.js";
import type { SweepSource } from "../../sweep/read-sweep.js";
import { circuitsOf } from "./evaluations.js";
import { checkPoints } from "./check-points.js";
import { asksScores, goesByScores, isOnSets } from "./points.js";
import { circuitsSpecOf, type ExperimentSpec, listedExperiments } from "./spec.js";

/**
 * Checks what a sweep asks of circuits.
 * @throws PatchbayError `bad_input` naming file, line and field of the first fault.
 */
export function checkCircuits(source: SweepSource, context: PlanContext): void {
  checkNames(source);
  checkDefaultScores(source, context);
  checkVariants(source);
  checkSaes(source, context);
  checkNodes(source, context);
  checkParts(source);
  checkPoints(source, context);
}

function checkNames(source: SweepSource): void {
  const { sweep, fault } = source;
  const circuits = circuitsSpecOf(sweep);
  const unknown = circuits === undefined ? undefined : unknownScores(source, circuits.scores);
  if (unknown !== undefined) throw fault(["circuits", "scores"], unknown);
  const experiments = listedExperiments(sweep);
  byHooks(sweep).forEach(([{ name, threshold }, i]) => {
    if (experiments.findIndex((one) => one.name === name) !== i)
      throw fault(["experiments", i, "name"], `the name ${name} is used twice`);
    if (circuits !== undefined && circuitsOf(circuits).some((circuit) => circuit.name === name))
      throw fault(["experiments", i, "name"], `${name} is the name of a threshold circuit; choose another name`);
    if (threshold !== null && sweep.scores.length === 0)
      throw fault(["experiments", i, "threshold"], "a threshold needs scores; add some under `scores`");
  });
}

/** On plain data nothing stands in for scores that the file does not name: AtP, the default, needs pairs. */
function checkDefaultScores({ sweep, fault, has }: SweepSource, { paired }: PlanContext): void {
  if (paired || has(["scores"])) return;
  const sets = setsOf(sweep);
  const onSets = listedExperiments(sweep).findIndex((one) => isOnSets(one) && goesByScores(one, sets));
  const inCircuits = circuitsSpecOf(sweep) !== undefined;
  if (!inCircuits && !asksScores(sweep)) return;
  throw fault(
    inCircuits ? ["circuits"] : onSets < 0 ? ["sets"] : ["experiments", onSets],
    `goes by scores, and ${NO_PAIRS} to compute them from; take those of a run on pairs (\`scores: [{ name: atp, from: runs/NAME }]\`), or use method zero`,
  );
}

/** A circuit is called by its variant and threshold: a variant that is listed twice would give two circuits one name. */
function checkVariants({ sweep, fault }: SweepSource): void {
  const variants = circuitsSpecOf(sweep)?.variants ?? [];
  variants.forEach((variant, i) => {
    if (variants.indexOf(variant) !== i)
      throw fault(["circuits", "variants", i], `the variant ${variant} is listed twice`);
  });
}

function checkSaes(source: SweepSource, context: PlanContext): void {
  const { sweep, fault } = source;
  const circuits = circuitsSpecOf(sweep);
  if (hasSaes(source, context)) {
    if (circuits?.nodes !== undefined)
      throw fault(
        ["circuits", "nodes"],
        "is for sweeps without SAEs: with SAEs, circuits are made of features and errors",
      );
    return;
  }
  const variant = circuits?.variants.findIndex((one) => one !== "all") ?? -1;
  if (variant >= 0)
    throw fault(["circuits", "variants", variant], "ablates error nodes, and a sweep without SAEs has none; use `all`");
  const [first] = byHooks(sweep);
  if (first !== undefined) throw fault(["experiments", first[1]], `a custom configuration ${NO_SAES}`);
}

/** Parts of errors need a fit, and are never named beside their whole. */
function checkParts({ sweep, fault }: SweepSource): void {
  byHooks(sweep).forEach(([experiment, i]) => {
    const [unfit] = fitOf(sweep) === undefined ? partsIn(experiment) : [];
    if (unfit !== undefined)
      throw fault(["experiments", i, unfit.part, "nodes", unfit.index], `${unfit.hook} ${NO_FIT}`);
    const clash = findClash(experiment);
    if (clash !== undefined) throw fault(["experiments", i, clash.part, "nodes", clash.index], clash.message);
  });
}

/** Configurations that name nodes by hooks, each with its place in the list. */
function byHooks(sweep: SweepSource["sweep"]): [ExperimentSpec, number][] {
  return listedExperiments(sweep).flatMap((one, i): [ExperimentSpec, number][] => (isOnSets(one) ? [] : [[one, i]]));
}

function checkNodes({ sweep, fault }: SweepSource, context: PlanContext): void {
  byHooks(sweep).forEach(([experiment, i]) => {
    for (const part of ["ablate", "restore"] as const) {
      const { nodes, features, positions } = experiment[part];
      nodes.forEach((hook, j) => {
        checkNodeHook(hook, context, (message) => fault(["experiments", i, part, "nodes", j], message));
      });
      for (const [hook, list] of Object.entries(features)) {
        checkFeature(hook, list, context, (_field, message) =>
          fault(["experiments", i, part, "features", hook], message),
        );
      }
      positions?.forEach((position, j) => {
        checkPosition(position, context, (message) => fault(["experiments", i, part, "positions", j], message));
      });
    }
  });
}
