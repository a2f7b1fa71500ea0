/** @file What a shard of circuit evaluation or of joint patches depends on: its own evaluations or sets, whatever else the sweep asks for. */
import { FIT_STAGE } from "../../artifacts/error-fit-file.js";
import { must, unreachable } from "../../base/assert.js";
import { partsIn } from "../../nodes/custom-configuration.js";
import { type Ablation, ABLATION_SOURCES } from "../../nodes/intervention.js";
import { isPartKind } from "../../nodes/kinds.js";
import { promptKey } from "../../nodes/prompt.js";
import { donorOf } from "../../plan/donors.js";
import { tokenCounts } from "../../plan/held-out.js";
import type { Plan, Shard, StageTask } from "../../plan/plan.js";
import { circuitNodesOf } from "../../plan/circuit-sites.js";
import { kindsIn, setsOf, termsOf } from "../../plan/set-expression.js";
import { setInFull } from "../../plan/set-in-full.js";
import { byPrompts, bySlots, type Dependencies, hashOf, type KeyInputs } from "../../plan/shard-keys.js";
import { circuitScoresName, type Evaluation, evaluationsOf } from "./evaluations.js";
import { jointUses, type Point, type SetUse, setUses } from "./points.js";
import { circuitsSpecOf } from "./spec.js";
import type { JointTask } from "./task.js";

/** The prompts, with donors where the shard's evaluations resample, the evaluations in order, and the rows of a block. */
export function circuitsDependencies(_task: StageTask, inputs: KeyInputs): Dependencies {
  const { plan, prompts } = inputs;
  const evaluations = evaluationsOf(plan.sweep);
  const describe = describer(inputs);
  const evaluationsIn = bySlots((slots) => hashOf(evaluations.slice(...slots).map(describe)));
  const resamples = bySlots((slots) => evaluations.slice(...slots).some((one) => sourceOf(one) === "donors"));
  const donorsIn = byPrompts((shard) => donorsOf(plan, shard));
  return {
    stage: shapesOf(plan),
    shard: (shard) => [evaluationsIn(shard), prompts(shard), ...(resamples(shard) ? [donorsIn(shard)] : [])],
  };
}

/** The prompts, the sets in order, what their nodes are set to, and the rows of a block. */
export function jointDependencies({ donor }: JointTask, inputs: KeyInputs): Dependencies {
  const { plan, prompts, after } = inputs;
  const sets = jointUses(plan.sweep).map((use) => setDone(inputs, use));
  const means = donor === "mean" ? after("means") : null;
  const setsIn = bySlots((slots) => hashOf(sets.slice(...slots)));
  return { stage: { ...shapesOf(plan), donor, means }, shard: (shard) => [setsIn(shard), prompts(shard)] };
}

/** The rows of a block, and without SAEs what circuits are made of. */
function shapesOf({ blocks, saes, sweep }: Plan): object {
  return { rows: blocks.circuitRows, ...(saes.length === 0 ? { nodes: circuitNodesOf(sweep) } : {}) };
}

function sourceOf(evaluation: Evaluation): (typeof ABLATION_SOURCES)[Ablation] | null {
  return evaluation.kind === "full" ? null : ABLATION_SOURCES[evaluation.ablation];
}

/** The runs that every draw takes for the shard's prompts. */
function donorsOf({ donors, prompts }: Plan, shard: Shard): string {
  return hashOf(must(donors, "donors").map((draw) => shard.prompts.map((p) => promptKey(donorOf(prompts, draw, p)))));
}

/** Says of an evaluation what decides its bits: what it does, and the keys of the stages whose numbers it reads. */
function describer(inputs: KeyInputs): (evaluation: Evaluation) => unknown {
  const { plan, after } = inputs;
  const { sweep } = plan;
  const exempt = new Map(setUses(sweep).map((use) => [use.key, use]));
  const scores = (): string => after(`scores-${must(circuitScoresName(sweep), "scores")}`);
  const done = (evaluation: Evaluation): unknown => {
    switch (evaluation.kind) {
      case "full":
        return null;
      case "empty":
        return {
          exemptEarlyLayers: evaluation.exemptEarlyLayers,
          exempt: evaluation.exempt === undefined ? null : setDone(inputs, must(exempt.get(evaluation.exempt), "set")),
        };
      case "circuit":
      case "complement": {
        const { keep, exempt_early_layers: exemptEarlyLayers } = must(circuitsSpecOf(sweep), "circuits");
        const { variant, threshold } = evaluation.circuit;
        return { keep, exemptEarlyLayers, variant, threshold, scores: scores() };
      }
      case "custom": {
        const { name: _name, ablation: _ablation, ...configuration } = evaluation.experiment;
        const fits = partsIn(evaluation.experiment).length > 0 ? after(FIT_STAGE) : null;
        return { configuration, fits, scores: configuration.threshold === null ? null : scores() };
      }
      case "point":
        return { side: evaluation.side, sets: pointDone(inputs, evaluation.point) };
      default:
        return unreachable(evaluation);
    }
  };
  return (evaluation) => ({
    kind: evaluation.kind,
    ablation: evaluation.kind === "full" ? null : evaluation.ablation,
    means: sourceOf(evaluation) === "means" ? after("means") : null,
    does: done(evaluation),
  });
}

/** What a point does: its sets in full. What they are called does not matter. */
function pointDone(inputs: KeyInputs, { sets }: Point): object {
  const uses = Object.entries(sets) as [string, SetUse][];
  return Object.fromEntries(uses.map(([field, use]) => [field, setDone(inputs, use)]));
}

/** A set in full, and the fits where parts of errors are among its nodes. */
function setDone(inputs: KeyInputs, use: SetUse): unknown {
  const { plan, after } = inputs;
  const parts = termsOf(use.expression, setsOf(plan.sweep)).some(({ kind }) => kindsIn(kind).some(isPartKind));
  // Positions from the end, and ranges of them, are those of the longest prompt.
  return { in: setInFull(use, inputs), lengths: tokenCounts(plan), fits: parts ? after(FIT_STAGE) : null };
}
