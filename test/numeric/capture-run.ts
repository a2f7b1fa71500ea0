/** @file One side's run by itself, as tests compare it. */
import { captureRuns, type Run } from "../../src/passes/capture.js";
import { must } from "../../src/base/assert.js";
import type { Prompt, Side } from "../../src/nodes/prompt.js";
import type { Answers } from "../../src/model/metric.js";
import type { Model } from "../../src/model/model.js";

/** Runs one side of the prompts and keeps all site activations, and products for its backward pass. Owner: caller. */
export async function captureRun(model: Model, prompts: readonly Prompt[], side: Side, answers: Answers): Promise<Run> {
  return must((await captureRuns(model, prompts, [side], answers, { backward: side }))[0], "run");
}
