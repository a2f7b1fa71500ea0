/** @file The stage of circuit evaluation, and the donors that it may need. */
import { errorFitInputs } from "../../artifacts/error-fit-file.js";
import { MEANS_FILE } from "../../artifacts/means-file.js";
import { scoresFile } from "../../artifacts/scores-file.js";
import { partsIn } from "../../nodes/custom-configuration.js";
import { ABLATION_SOURCES, type Ablation } from "../../nodes/intervention.js";
import { siteHook, type SiteAt } from "../../nodes/site.js";
import { type Donors, DRAWS, resampleDonors } from "../../plan/donors.js";
import { evaluatedPrompts } from "../../plan/held-out.js";
import { borrows } from "../../plan/lender.js";
import { truthDonorOf } from "../../plan/node-list.js";
import type { Stage } from "../../plan/plan.js";
import type { PlanContext, StageContext } from "../../plan/plan-part.js";
import { spansOf } from "../../plan/span-positions.js";
import { slotRule, stage } from "../../plan/stages.js";
import type { SweepSource } from "../../sweep/read-sweep.js";
import { type Sweep, scoreStages } from "../../sweep/sweep.js";
import type { JointTask } from "./task.js";
import { circuitScoresName, type Evaluation, evaluationsOf } from "./evaluations.js";
import { jointUses, namesParts, pointsOf, setScores, setUses, SETS_FILE } from "./points.js";
import { circuitsSpecOf, experimentsOf, listedExperiments } from "./spec.js";

/** Whether a sweep evaluates anything. */
function hasCircuits(sweep: Sweep): boolean {
  return circuitsSpecOf(sweep) !== undefined || listedExperiments(sweep).length > 0;
}

/** Whether any ablation is to the mean. */
export function usesMeans(sweep: Sweep): boolean {
  if (!hasCircuits(sweep)) return false;
  return evaluationsOf(sweep).some((one) => one.kind !== "full" && ABLATION_SOURCES[one.ablation] === "means");
}

/** Whether sets are patched with their means, all nodes at once. */
export function jointMeans(sweep: Sweep): boolean {
  return jointUses(sweep).length > 0 && truthDonorOf(sweep) === "mean";
}

/** The stages of circuits and of joint patches, after that of the sets that they name. */
export function circuitStages(context: StageContext): Stage[] {
  const { sweep } = context;
  const sets = stage("sets", { kind: "sets" }, { dependsOn: scoreStages(sweep, setScores(sweep)) });
  return [...(setUses(sweep).length > 0 ? [sets] : []), ...evaluationStage(context), ...jointStage(context)];
}

/** Sets that are patched at once; their sums are of every score. */
function jointStage({ sweep, saes, blocks, promptBlocks }: StageContext): Stage[] {
  const uses = jointUses(sweep);
  if (uses.length === 0) return [];
  const donor = truthDonorOf(sweep);
  const fits = errorFitInputs(splitSites(sweep, saes));
  const [means, file] = donor === "mean" ? [["means"], [MEANS_FILE]] : [[], []];
  const scores = scoreStages(
    sweep,
    sweep.scores.map(({ name }) => name),
  );
  const task: JointTask = { kind: "joint", donor };
  return [
    stage("joint", task, {
      dependsOn: ["sets", ...means, ...scores, ...fits.dependsOn],
      reads: [SETS_FILE, ...file, ...fits.reads],
      promptBlocks: promptBlocks.list,
      rule: slotRule(promptBlocks.evaluate, [[0, uses.length]], blocks.circuitRows),
    }),
  ];
}

function evaluationStage({ sweep, saes, blocks, promptBlocks }: StageContext): Stage[] {
  if (!hasCircuits(sweep)) return [];
  const evaluations = evaluationsOf(sweep);
  const scores = circuitScoresName(sweep);
  const means = usesMeans(sweep);
  const fits = errorFitInputs(splitSites(sweep, saes));
  const uses = setUses(sweep).length > 0;
  const dependsOn = [
    ...(uses ? ["sets"] : []),
    ...(means && !borrows(sweep) ? ["means"] : []),
    ...scoreStages(sweep, scores === undefined ? [] : [scores]),
    ...fits.dependsOn,
  ];
  const reads = [
    ...(uses ? [SETS_FILE] : []),
    ...(means ? [MEANS_FILE] : []),
    ...(scores === undefined ? [] : [scoresFile(scores)]),
    ...fits.reads,
  ];
  const rule = slotRule(promptBlocks.evaluate, configurationRanges(evaluations), blocks.circuitRows, 2);
  return [stage("circuits", { kind: "circuits" }, { dependsOn, reads, promptBlocks: promptBlocks.list, rule })];
}

/**
 * Evaluations of one configuration each, as half-open ranges: another configuration in the sweep leaves the shards of the others as they
 * were. The unablated run and every empty circuit, which configurations share, are ranges of their own.
 */
export function configurationRanges(evaluations: readonly Evaluation[]): (readonly [start: number, end: number])[] {
  const names = evaluations.map(configurationName);
  const starts = evaluations.flatMap((one, e) => (isShared(one) || names[e] !== names[e - 1] ? [e] : []));
  return starts.map((start, i) => [start, starts[i + 1] ?? evaluations.length]);
}

function isShared({ kind }: Evaluation): boolean {
  return kind === "full" || kind === "empty";
}

/** Experiments have names of their own, and the threshold circuits none. */
function configurationName(evaluation: Evaluation): string {
  switch (evaluation.kind) {
    case "full":
    case "empty":
      return evaluation.kind;
    case "circuit":
    case "complement":
      return "";
    case "custom":
      return `named ${evaluation.experiment.name}`;
    case "point":
      return `on sets ${evaluation.point.experiment}`;
  }
}

/** Sites of whose errors a configuration names parts; where a set does, those of all SAEs. */
function splitSites(sweep: Sweep, saes: readonly SiteAt[]): SiteAt[] {
  const named: SiteAt[] = experimentsOf(sweep)
    .flatMap(partsIn)
    .map(({ at }) => at);
  const sites = new Map([...named, ...(namesParts(sweep) ? saes : [])].map((at) => [siteHook(at), at]));
  return [...sites.values()];
}

/** Every draw of donors; null where nothing resamples. @throws PatchbayError `bad_input` where a prompt has no donor. */
export function donorsOf({ sweep, fault }: SweepSource, context: PlanContext): Donors[] | null {
  const circuits = circuitsSpecOf(sweep);
  const resamples = (ablation: Ablation): boolean => ABLATION_SOURCES[ablation] === "donors";
  const inCircuits = circuits !== undefined && resamples(circuits.ablation);
  const inExperiments =
    experimentsOf(sweep).some(({ ablation }) => resamples(ablation)) ||
    pointsOf(sweep).some(({ configuration }) => resamples(configuration.ablation));
  if (!inCircuits && !inExperiments) return null;
  if (spansOf(sweep) !== undefined)
    throw fault(
      inCircuits ? ["circuits", "ablation"] : ["experiments"],
      "resample is not built for rows with spans, whose prompts have other numbers of tokens; use mean or zero",
    );
  return Array.from({ length: DRAWS }, (_, draw) => {
    const result = resampleDonors(evaluatedPrompts(context), sweep.seed, draw);
    if ("donors" in result) return result;
    throw fault(
      inCircuits ? ["circuits", "ablation"] : ["experiments"],
      `resample needs another prompt of the same length, and only one kept prompt has ${String(result.loneLength)} tokens; use mean or zero, or add prompts`,
    );
  });
}
