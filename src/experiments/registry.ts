/** @file What this build can do: every experiment and every score method. Entries are handed it and pass it on. */
import { badInput } from "../base/errors.js";
import { INPUT_FIELDS } from "../sweep/sweep.js";
import { METHODS } from "../methods/registry.js";
import type { ScoreMethods } from "../methods/score-method.js";
import { circuits } from "./circuits/index.js";
import { errorFit } from "./error-fit/index.js";
import type { Experiment } from "./experiment.js";
import { means } from "./means/index.js";
import { noop } from "./noop/index.js";
import { scoresExperiment } from "./scores/index.js";
import { truthExperiment } from "./truth/index.js";

/** Everything that a sweep may ask for. */
export interface Register {
  readonly methods: ScoreMethods;
  /** Their stages run in this order. */
  readonly experiments: readonly Experiment[];
}

/** The register of these methods, with experiments beside the product's own. @throws PatchbayError `bad_input` for a name that is taken. */
export function registerOf(methods: ScoreMethods, others: readonly Experiment[] = []): Register {
  const experiments = [means, errorFit, scoresExperiment(methods), truthExperiment(methods), circuits, noop, ...others];
  refuseTwice(
    "name",
    experiments.map(({ name }) => name),
  );
  refuseTwice("field", [...INPUT_FIELDS, ...experiments.flatMap(({ fields }) => Object.keys(fields))]);
  refuseTwice(
    "kind of stage",
    experiments.flatMap(({ tasks }) => Object.keys(tasks)),
  );
  return { methods, experiments };
}

function refuseTwice(what: string, names: readonly string[]): void {
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    throw badInput(`two experiments have the ${what} ${twice}; choose another`, { field: "PATCHBAY_REGISTER" });
}

/** The register of the product: its methods and its experiments. */
export const REGISTER = registerOf(METHODS);
