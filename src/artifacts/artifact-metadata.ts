/** @file What every artifact says about itself: what was measured, on which inputs, by which code. */
import { canonicalJson, sha256 } from "../base/hash.js";
import { withoutCluster } from "../nodes/prompt.js";
import { evaluatedPrompts } from "../plan/held-out.js";
import type { Plan } from "../plan/plan.js";
import type { Environment } from "../base/environment.js";
import type { Metadata } from "./parquet.js";

/** Sign and direction of every effect and score. Source: REFERENCE 4. */
const SIGN =
  "m = reduce(logit[incorrect]) - logit[correct] at the answer position; positive: patching raises the incorrect answer";
const DIRECTION = "base = clean prompt, donor = corrupted prompt";

/** Plan and environment that an artifact belongs to. */
export interface Provenance {
  readonly plan: Plan;
  readonly planHash: string;
  readonly environment: Environment;
  /** Kept prompts that quarantined shards left out, ascending; empty unless the run allows partial results. */
  readonly missingPrompts: readonly number[];
}

/**
 * Metadata for an artifact. It holds no time, host or path, so equal plans give equal bytes.
 * @param normalisation - what the numbers were divided by, in words.
 */
export function artifactMetadata(
  { plan, planHash, environment, missingPrompts }: Provenance,
  normalisation: string,
  more: Metadata = {},
): Metadata {
  const { model, saes, dataset, select, fit } = plan.fingerprints;
  const evaluated = evaluatedPrompts(plan).length;
  return {
    sign: SIGN,
    direction: DIRECTION,
    normalisation,
    n: String(evaluated - missingPrompts.filter((prompt) => prompt < evaluated).length),
    missing_prompts: JSON.stringify(missingPrompts),
    metric_reduce: plan.sweep.metric.reduce,
    plan_hash: planHash,
    model,
    saes: saes ?? "none",
    dataset,
    ...(select === undefined ? {} : { select }),
    ...(fit === undefined ? {} : { fit }),
    ...(plan.borrowed === undefined ? {} : { from: plan.borrowed.plan }),
    prompts: sha256(canonicalJson(plan.prompts.map(withoutCluster))),
    ...environment,
    threads: String(environment.threads),
    ...more,
  };
}
