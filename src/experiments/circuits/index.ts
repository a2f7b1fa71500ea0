/** @file Circuits: how much of the model's behaviour is left when all but some nodes are ablated. */
import type { Experiment } from "../experiment.js";
import { checkCircuits } from "./check.js";
import { circuitFields, circuitsSpecOf, completeCircuits, hasNeurons } from "./spec.js";
import { circuitStages, donorsOf, usesMeans } from "./stages.js";
import { CIRCUITS_COST } from "./work.js";

/** The experiment that evaluates circuits and custom configurations. */
export const circuits: Experiment = {
  name: "circuits",
  fields: circuitFields,
  asked: { field: "circuits", isIn: (sweep) => circuitsSpecOf(sweep) !== undefined },
  needsScores: (sweep) => circuitsSpecOf(sweep) !== undefined,
  needsMeans: usesMeans,
  needsNeurons: hasNeurons,
  needsNeuronMeans: (sweep) => hasNeurons(sweep) && usesMeans(sweep),
  complete: (sweep) => {
    const given = circuitsSpecOf(sweep);
    return given === undefined ? sweep : { ...sweep, circuits: completeCircuits(given, sweep.saes === "none") };
  },
  check: checkCircuits,
  facts: (source, context) => ({ donors: donorsOf(source, context) }),
  stages: circuitStages,
  probed: (sweep) => {
    const spec = circuitsSpecOf(sweep);
    const one = spec === undefined ? undefined : { ...spec, thresholds: [1], completeness: false };
    return { circuits: one, experiments: [] };
  },
  report: () => import("./report/report.js"),
  readingOrder: 3,
  tasks: {
    circuits: {
      unit: "circuit-prompt rows",
      artifacts: () => ["circuits.parquet", "circuits-prompts.parquet"],
      program: () => import("./program.js"),
      reduction: () => import("./circuits-artifact.js"),
      cost: CIRCUITS_COST,
    },
  },
};
