/** @file Stages that compute nothing: what a shard costs besides its computation, and recovery under faults on demand. No sweep asks for them. */
import type { Experiment } from "../experiment.js";

/** The experiment that computes nothing. */
export const noop: Experiment = {
  name: "noop",
  fields: {},
  stages: () => [],
  tasks: { noop: { unit: "shards", artifacts: () => [] } },
};
