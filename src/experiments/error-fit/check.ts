/** @file Faults of a sweep's fit that its dataset does not show. */
import { hasSaes, NO_SAES } from "../../plan/check-nodes.js";
import { fitOf } from "../../plan/fit-spec.js";
import type { PlanContext } from "../../plan/plan-part.js";
import type { SweepSource } from "../../sweep/read-sweep.js";

/**
 * Checks what a sweep asks of the fit of errors.
 * @throws PatchbayError `bad_input` naming file, line and field.
 */
export function checkFit(source: SweepSource, context: PlanContext): void {
  if (fitOf(source.sweep) !== undefined && !hasSaes(source, context))
    throw source.fault(["fit"], `a fit of SAE errors ${NO_SAES}`);
}
