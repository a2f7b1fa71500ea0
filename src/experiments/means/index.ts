/** @file Mean activations of every node: what mean ablation sets nodes to, and the frame that features are drawn from. */
import { z } from "zod";
import { MEANS_FILE } from "../../artifacts/means-file.js";
import { borrows } from "../../plan/lender.js";
import { promptBlockSize } from "../../plan/memory.js";
import { stage } from "../../plan/stages.js";
import type { Experiment, TaskKind } from "../experiment.js";
import { meansDependencies } from "./keys.js";
import type { MeansTask } from "./task.js";
import { meansShardWork } from "./work.js";

/** The experiment that averages activations. */
export const means: Experiment = {
  name: "means",
  fields: { means: z.boolean().default(false) },
  asked: { field: "means", isIn: ({ means }) => means === true },
  // Another run whose scores are used has the means too.
  stages: ({ sweep, needsMeans, needsNeuronMeans, needsSiteMeans, promptBlocks }) => {
    const task: MeansTask = {
      kind: "means",
      ...(needsNeuronMeans ? { neurons: true } : {}),
      ...(needsSiteMeans ? { sites: true } : {}),
    };
    return !borrows(sweep) && (sweep["means"] === true || needsMeans)
      ? [stage("means", task, { promptBlocks: promptBlocks.list, rule: { blocks: promptBlocks.select } })]
      : [];
  },
  tasks: {
    means: {
      unit: "prompt rows",
      artifacts: () => [MEANS_FILE],
      dependencies: meansDependencies,
      program: () => import("./program.js"),
      reduction: () => import("./reduction.js"),
      cost: {
        shard: ({ plan, model }, task, shard) => meansShardWork(model, plan, shard, task),
        alive: (shape, { prompts }) => promptBlockSize(shape, prompts),
      },
    } satisfies TaskKind<MeansTask>,
  },
};
