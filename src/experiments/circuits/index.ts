/** @file Circuits: how much of the model's behaviour is left when all but some nodes are ablated. */
import type { Experiment, TaskKind } from "../experiment.js";
import { checkCircuits } from "./check.js";
import { CIRCUIT_PROMPTS_FILE, CIRCUITS_FILE } from "./circuit-files.js";
import { JOINT_FILE } from "../../run/stage-artifacts.js";
import type { JointTask } from "./task.js";
import { CONTRASTS_FILE, contrastsOf } from "./contrasts.js";
import { readsSets } from "../../plan/node-sets.js";
import { circuitsDependencies, jointDependencies } from "./keys.js";
import { asksScores, pointCounts, SETS_FILE } from "./points.js";
import { circuitFields, circuitsSpecOf, completeCircuits, hasNeurons, listedExperiments } from "./spec.js";
import { circuitStages, donorsOf, jointMeans, usesMeans } from "./stages.js";
import { CIRCUITS_COST, JOINT_COST } from "./work.js";

/** The experiment that evaluates circuits and custom configurations. */
export const circuits: Experiment = {
  name: "circuits",
  fields: circuitFields,
  // Sets that the truth names, and the kinds that they have by default.
  ownFields: (sweep) => (readsSets(sweep) ? ["experiments"] : Object.keys(circuitFields)),
  asked: {
    field: "circuits",
    isIn: (sweep) => circuitsSpecOf(sweep) !== undefined || listedExperiments(sweep).length > 0,
  },
  needsScores: (sweep) => circuitsSpecOf(sweep) !== undefined || asksScores(sweep),
  needsMeans: usesMeans,
  needsNeurons: hasNeurons,
  needsNeuronMeans: (sweep) => hasNeurons(sweep) && (usesMeans(sweep) || jointMeans(sweep)),
  complete: (sweep) => {
    const given = circuitsSpecOf(sweep);
    return given === undefined ? sweep : { ...sweep, circuits: completeCircuits(given, sweep.saes === "none") };
  },
  check: checkCircuits,
  filterRows: async (folder, filter, fault) => (await import("./filter-rows.js")).filterRows(folder, filter, fault),
  facts: (source, context) => ({ donors: donorsOf(source, context) }),
  stages: circuitStages,
  probed: (sweep) => {
    const spec = circuitsSpecOf(sweep);
    const one = spec === undefined ? undefined : { ...spec, thresholds: [1], completeness: false };
    return { circuits: one, experiments: [] };
  },
  counted: ({ sweep }) => pointCounts(sweep),
  report: () => import("./report/report.js"),
  readingOrder: 3,
  tasks: {
    sets: { unit: "shards", artifacts: () => [SETS_FILE], reduction: () => import("./sets-artifact.js") },
    joint: {
      unit: "set-prompts",
      artifacts: () => [JOINT_FILE],
      dependencies: jointDependencies,
      program: () => import("./joint-program.js"),
      reduction: () => import("./joint-artifact.js"),
      cost: JOINT_COST,
    } satisfies TaskKind<JointTask>,
    circuits: {
      unit: "circuit-prompt rows",
      artifacts: (_task, sweep) => [
        ...[CIRCUITS_FILE, CIRCUIT_PROMPTS_FILE],
        ...(contrastsOf(sweep).length > 0 ? [CONTRASTS_FILE] : []),
      ],
      dependencies: circuitsDependencies,
      program: () => import("./program.js"),
      reduction: () => import("./circuits-artifact.js"),
      cost: CIRCUITS_COST,
    },
  },
};
