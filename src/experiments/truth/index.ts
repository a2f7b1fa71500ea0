/** @file True activation patching of single nodes, and how well scores predict it. */
import { nodeListField, nodeListOf } from "../../plan/node-list.js";
import { namesKind, slotCount } from "../../plan/node-slots.js";
import type { Experiment, TaskKind } from "../experiment.js";
import { checkTruth } from "./check.js";
import { needsFrame, truthSlots, truthStages } from "./stages.js";
import { type TruthTask, truthTask } from "./task.js";
import { probedTruth, TRUTH_COST } from "./work.js";

export const truth: Experiment = {
  name: "truth",
  fields: { truth: nodeListField.optional() },
  asked: { field: "truth", isIn: (sweep) => nodeListOf(sweep) !== undefined },
  needsScores: (sweep) => nodeListOf(sweep) !== undefined,
  needsNeurons: (sweep) => namesKind(nodeListOf(sweep), "neuron"),
  needsMeans: (sweep) => {
    const list = nodeListOf(sweep);
    return list !== undefined && needsFrame(list);
  },
  check: checkTruth,
  facts: ({ sweep }, context) => {
    const list = nodeListOf(sweep);
    if (list === undefined) return {};
    return { nodeSlots: truthSlots(list, context).reduce((sum, group) => sum + slotCount(group), 0) };
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
      program: () => import("./program.js"),
      cost: TRUTH_COST,
    } satisfies TaskKind<TruthTask>,
    validation: {
      unit: "shards",
      artifacts: () => ["truth.parquet", "validation.parquet", "validation.json"],
      reduction: () => import("./validation.js"),
    },
  },
};
