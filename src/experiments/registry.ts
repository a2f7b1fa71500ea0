/** @file What this build can do: every experiment and every score method. Entries are handed it and pass it on. */
import { METHODS } from "../methods/registry.js";
import type { ScoreMethods } from "../methods/score-method.js";
import { circuits } from "./circuits/index.js";
import type { Experiment } from "./experiment.js";
import { means } from "./means/index.js";
import { noop } from "./noop/index.js";
import { scoresExperiment } from "./scores/index.js";
import { truth } from "./truth/index.js";

/** Everything that a sweep may ask for. */
export interface Register {
  readonly methods: ScoreMethods;
  /** Their stages run in this order. */
  readonly experiments: readonly Experiment[];
}

/** The register of these methods, with experiments beside the product's own. */
export function registerOf(methods: ScoreMethods, others: readonly Experiment[] = []): Register {
  return { methods, experiments: [means, scoresExperiment(methods), truth, circuits, noop, ...others] };
}

export const REGISTER = registerOf(METHODS);
