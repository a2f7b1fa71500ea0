/** @file What the sets of a sweep are resolved against. */
import { circuitSites, setKinds } from "./circuit-sites.js";
import type { TokenCounts } from "./held-out.js";
import { DEFAULT_SCORES } from "./node-sets.js";
import type { ModelShape, SaeSite } from "./plan.js";
import type { SetContext } from "./resolve-set.js";
import { setsOf } from "./set-expression.js";

/** What of a plan decides it. */
export interface SetInputs {
  readonly sweep: { readonly [field: string]: unknown };
  readonly shape: ModelShape;
  readonly saes: readonly SaeSite[];
  readonly lengths: TokenCounts;
}

/** What sets are resolved against, but for their scores. */
export function setContext({ sweep, shape, saes, lengths }: SetInputs): Omit<SetContext, "by" | "seed" | "scores"> {
  const inputs = { sweep, shape, saes };
  return { shape, saes, sites: circuitSites(inputs), lengths, sets: setsOf(sweep), kinds: setKinds(inputs) };
}

/** The same where no score is asked: for places of sets, and for sets that go by none. */
export function scorelessContext(inputs: SetInputs): SetContext {
  return { ...setContext(inputs), by: DEFAULT_SCORES, seed: 0, scores: () => () => () => Number.NaN };
}
