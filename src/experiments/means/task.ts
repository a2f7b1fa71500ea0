/** @file The task of a stage that averages activations. */
import type { StageTask } from "../../plan/plan.js";

/** What a stage asks that averages activations. */
export interface MeansTask extends StageTask {
  readonly kind: "means";
  /** Whether neurons are averaged, beside whole sites: for circuits that are made of them, and for truth with means. */
  readonly neurons?: boolean;
  /** Whether whole sites are averaged where there are SAEs too: for truth with means. */
  readonly sites?: boolean;
}
