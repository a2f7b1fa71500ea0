/** @file Mean activations of every node: what mean ablation sets nodes to, and the frame that features are drawn from. */
import { z } from "zod";
import { MEANS_FILE } from "../../artifacts/means-file.js";
import { promptBlockSize } from "../../plan/memory.js";
import { stage } from "../../plan/stages.js";
import type { Experiment } from "../experiment.js";
import { meansShardWork } from "./work.js";

export const means: Experiment = {
  name: "means",
  fields: { means: z.boolean().default(false) },
  asked: { field: "means", isIn: ({ means }) => means === true },
  stages: ({ sweep, needsMeans, promptBlocks }) =>
    sweep["means"] === true || needsMeans
      ? [stage("means", { kind: "means" }, { work: promptBlocks.map((prompts) => ({ prompts })) })]
      : [],
  tasks: {
    means: {
      unit: "prompt rows",
      artifacts: () => [MEANS_FILE],
      program: () => import("./program.js"),
      reduction: () => import("./reduction.js"),
      cost: {
        shard: ({ plan, model }, _task, shard) => meansShardWork(model, plan, shard),
        alive: (shape, { prompts }) => promptBlockSize(shape, prompts),
      },
    },
  },
};
