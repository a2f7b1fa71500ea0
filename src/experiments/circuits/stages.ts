/** @file The stage of circuit evaluation, and the donors that it may need. */
import { errorFitInputs } from "../../artifacts/error-fit-file.js";
import { MEANS_FILE } from "../../artifacts/means-file.js";
import { scoresFile } from "../../artifacts/scores-file.js";
import { partsIn } from "../../nodes/custom-configuration.js";
import { ABLATION_SOURCES, type Ablation } from "../../nodes/intervention.js";
import { siteHook, type SiteAt } from "../../nodes/site.js";
import { type Donors, DRAWS, resampleDonors } from "../../plan/donors.js";
import { evaluatedPrompts } from "../../plan/held-out.js";
import type { Stage } from "../../plan/plan.js";
import type { PlanContext, StageContext } from "../../plan/plan-part.js";
import { slotShards, stage } from "../../plan/stages.js";
import type { SweepSource } from "../../sweep/read-sweep.js";
import type { Sweep } from "../../sweep/sweep.js";
import { circuitScoresName, evaluationsOf } from "./evaluations.js";
import { circuitsSpecOf, experimentsOf } from "./spec.js";

/** Whether a sweep evaluates anything. */
function hasCircuits(sweep: Sweep): boolean {
  return circuitsSpecOf(sweep) !== undefined || experimentsOf(sweep).length > 0;
}

/** Whether any ablation is to the mean. */
export function usesMeans(sweep: Sweep): boolean {
  if (!hasCircuits(sweep)) return false;
  return evaluationsOf(sweep).some((one) => one.kind !== "full" && ABLATION_SOURCES[one.ablation] === "means");
}

/** The one stage of circuits. */
export function circuitStages({ sweep, blocks, promptBlocks }: StageContext): Stage[] {
  if (!hasCircuits(sweep)) return [];
  const evaluations = evaluationsOf(sweep);
  const scores = circuitScoresName(sweep);
  const means = usesMeans(sweep);
  const fits = errorFitInputs(splitSites(sweep));
  const dependsOn = [
    ...(means ? ["means"] : []),
    ...(scores === undefined ? [] : [`scores-${scores}`]),
    ...fits.dependsOn,
  ];
  const reads = [...(means ? [MEANS_FILE] : []), ...(scores === undefined ? [] : [scoresFile(scores)]), ...fits.reads];
  const work = slotShards(promptBlocks.evaluate, [0, evaluations.length], blocks.circuitRows, 2);
  return [stage("circuits", { kind: "circuits" }, { dependsOn, reads, work })];
}

/** Sites of whose errors a configuration names parts. */
function splitSites(sweep: Sweep): SiteAt[] {
  const named = experimentsOf(sweep).flatMap(partsIn);
  const sites = new Map(named.map(({ at }) => [siteHook(at), at]));
  return [...sites.values()];
}

/** Every draw of donors; null where nothing resamples. @throws PatchbayError `bad_input` where a prompt has no donor. */
export function donorsOf({ sweep, fault }: SweepSource, context: PlanContext): Donors[] | null {
  const circuits = circuitsSpecOf(sweep);
  const resamples = (ablation: Ablation): boolean => ABLATION_SOURCES[ablation] === "donors";
  const inCircuits = circuits !== undefined && resamples(circuits.ablation);
  if (!inCircuits && !experimentsOf(sweep).some(({ ablation }) => resamples(ablation))) return null;
  return Array.from({ length: DRAWS }, (_, draw) => {
    const result = resampleDonors(evaluatedPrompts(context), sweep.seed, draw);
    if ("donors" in result) return result;
    throw fault(
      inCircuits ? ["circuits", "ablation"] : ["experiments"],
      `resample needs another prompt of the same length, and only one kept prompt has ${String(result.loneLength)} tokens; use mean or zero, or add prompts`,
    );
  });
}
