/** @file True activation patching of single nodes, and how well scores predict it. */
import { nodeListField, nodeListOf, truthDonorOf } from "../../plan/node-list.js";
import { namesKind, slotCount, slotGroups } from "../../plan/node-slots.js";
import type { ScoreMethods } from "../../methods/score-method.js";
import type { Experiment, TaskKind } from "../experiment.js";
import { checkTruth } from "./check.js";
import { truthDependencies } from "./keys.js";
import { needsFrame, truthStages } from "./stages.js";
import { type TruthTask, truthTask } from "./task.js";
import { probedTruth, TRUTH_COST } from "./work.js";

/** Kinds whose means are those of whole sites. */
const OF_WHOLE_SITES = ["site", "head", "error_linear", "error_nonlinear"] as const;

/** The experiment, which compares scores of these methods. */
export function truthExperiment(methods: ScoreMethods): Experiment {
  return {
    name: "truth",
    fields: { truth: nodeListField.optional() },
    asked: { field: "truth", isIn: (sweep) => nodeListOf(sweep) !== undefined },
    needsScores: (sweep) => nodeListOf(sweep) !== undefined,
    needsNeurons: (sweep) => namesKind(sweep, "neuron"),
    needsMeans: (sweep) => {
      const list = nodeListOf(sweep);
      return list !== undefined && (list.donor === "mean" || needsFrame(sweep));
    },
    needsNeuronMeans: (sweep) => truthDonorOf(sweep) === "mean" && namesKind(sweep, "neuron"),
    needsSiteMeans: (sweep) => truthDonorOf(sweep) === "mean" && OF_WHOLE_SITES.some((kind) => namesKind(sweep, kind)),
    check: (source, context) => {
      checkTruth(methods, source, context);
    },
    facts: ({ sweep }, context) => {
      if (nodeListOf(sweep) === undefined) return {};
      return { nodeSlots: slotGroups({ ...context, sweep }).reduce((sum, group) => sum + slotCount(group), 0) };
    },
    stages: truthStages,
    probed: probedTruth,
    isProbed: (task) => truthTask(task)?.floor !== true,
    report: () => import("./report/report.js"),
    readingOrder: 1,
    tasks: {
      nodes: { unit: "shards", artifacts: () => ["nodes.parquet"], reduction: () => import("./nodes-artifact.js") },
      truth: {
        unit: "node-prompts",
        artifacts: () => [],
        dependencies: truthDependencies,
        program: () => import("./program.js"),
        cost: TRUTH_COST,
      } satisfies TaskKind<TruthTask>,
      validation: {
        unit: "shards",
        artifacts: () => ["truth.parquet", "validation.parquet", "validation.json"],
        reduction: async () => (await import("./validation.js")).validationReduction(methods),
      },
    },
  };
}
