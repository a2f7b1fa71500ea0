/** @file Runs one shard: from its task and its artifacts, through the attribution programs, to the payload of its record. */
import { must, unreachable } from "../base/assert.js";
import type { OnProgress } from "../attribution/breathe.js";
import { type AblationValues, computeCircuits } from "../attribution/circuits.js";
import { computeMeans } from "../attribution/means.js";
import { computeScores } from "../attribution/scores.js";
import type { SplicedModel } from "../attribution/spliced-model.js";
import { computeTruth } from "../attribution/truth.js";
import type { RunCache } from "../attribution/unpatched-runs.js";
import { isPaired, type Prompt } from "../nodes/prompt.js";
import type { Ablation, Intervention } from "../nodes/intervention.js";
import type { ReadArtifact } from "../plan/artifacts.js";
import { donorOf } from "../plan/donors.js";
import { interventionOfEvaluation } from "../plan/evaluation-interventions.js";
import { circuitScoresName, type Evaluation, evaluationsOf } from "../plan/evaluations.js";
import { type Plan, programTask, type Shard, type Stage } from "../plan/plan.js";
import { readMeans } from "../reduce/means-artifact.js";
import { readNodes } from "../reduce/nodes-artifact.js";
import { encodeCircuits, encodeMeans, encodeScores, encodeTruth } from "../reduce/payload.js";
import { readScoreMeans } from "../reduce/scores-artifact.js";

/** Everything a shard's program reads. */
export interface ShardInputs {
  readonly plan: Plan;
  readonly model: SplicedModel;
  /** Reads an artifact that the stage `reads`. */
  readonly artifact: ReadArtifact;
  readonly onProgress: OnProgress;
  /** Keeps the unpatched runs from one shard of a block of prompts to the next; without it every shard runs them again. */
  readonly runs?: RunCache;
}

/** What a shard's program gives. */
export interface ShardOutcome {
  /** Body of the run-log record. */
  readonly payload: Uint8Array;
  /** Prompts in it. */
  readonly count: number;
  /** Work done, in the stage's unit (see {@link unitOf}). */
  readonly units: number;
}

/** The unit in which a stage's work is counted. */
export function unitOf(stage: Stage): string {
  const task = programTask(stage.task);
  switch (task?.kind) {
    case "means":
      return "prompt rows";
    case "scores":
      return "prompts";
    case "truth":
      return "node-prompts";
    case "circuits":
      return "circuit-prompt rows";
    case undefined:
      return "shards";
    default:
      return unreachable(task);
  }
}

/**
 * Computes one shard.
 * @throws PatchbayError `non_finite`, `out_of_memory`, `application`.
 */
export async function runShard(inputs: ShardInputs, stage: Stage, shard: Shard): Promise<ShardOutcome> {
  const { plan, model, onProgress } = inputs;
  const task = must(programTask(stage.task), `the engine program of ${stage.id}`);
  const prompts = shard.prompts.map((index) => must(plan.prompts[index], "prompt"));
  const { reduce } = plan.sweep.metric;
  const count = prompts.length;
  if (task.kind !== "truth") inputs.runs?.dispose();
  switch (task.kind) {
    case "means": {
      const result = await computeMeans(model, prompts, reduce, onProgress);
      return { payload: encodeMeans(result), count, units: count * sidesOf(prompts) };
    }
    case "scores": {
      const result = await computeScores(model, prompts, reduce, task.score, onProgress);
      return { payload: encodeScores(result), count, units: count };
    }
    case "truth":
      return runTruth(inputs, prompts, shard, task.rowsPerBlock);
    case "circuits":
      return runCircuits(inputs, prompts, shard);
    default:
      return unreachable(task);
  }
}

async function runTruth(
  { plan, model, artifact, onProgress, runs }: ShardInputs,
  prompts: readonly Prompt[],
  shard: Shard,
  rowsPerBlock: number,
): Promise<ShardOutcome> {
  const [start, end] = must(shard.slots, "slots");
  const listed = await readNodes(artifact);
  const nodes = Array.from({ length: end - start }, (_, i) => listed[start + i] ?? null);
  const result = await computeTruth(model, prompts, plan.sweep.metric.reduce, nodes, rowsPerBlock, onProgress, runs);
  const units = result.ran.reduce((sum, one) => sum + one, 0);
  return { payload: encodeTruth(result), count: prompts.length, units };
}

async function runCircuits(inputs: ShardInputs, prompts: readonly Prompt[], shard: Shard): Promise<ShardOutcome> {
  const { plan, artifact } = inputs;
  const [start, end] = must(shard.slots, "slots");
  const evaluations = evaluationsOf(plan.sweep).slice(start, end);
  const name = circuitScoresName(plan.sweep);
  const scores = name === undefined ? null : await readScoreMeans(artifact, name);
  const sides = sidesOf(prompts);
  const rowCount = sides * prompts.length;
  const metric = new Float64Array(evaluations.length * rowCount);
  const length = must(prompts[0], "prompt").clean.length;
  for (const ablation of new Set(evaluations.map(ablationOf))) {
    const members = evaluations.flatMap((evaluation, e) => (ablationOf(evaluation) === ablation ? [e] : []));
    const interventions = members.map((e) =>
      interventionOfEvaluation(plan, must(evaluations[e], "evaluation"), scores, length),
    );
    const draws = await donorValues(inputs, shard, ablation);
    const mean = await meanOverDraws(inputs, prompts, interventions, draws);
    members.forEach((e, i) => {
      metric.set(mean.subarray(i * rowCount, (i + 1) * rowCount), e * rowCount);
    });
  }
  return { payload: encodeCircuits({ metric }), count: prompts.length, units: evaluations.length * rowCount };
}

/** The unablated run needs no donor: it goes with zero ablation. */
function ablationOf(evaluation: Evaluation): Ablation {
  return evaluation.kind === "full" ? "zero" : evaluation.ablation;
}

/** What ablated nodes are set to, once for each draw of donors. */
async function donorValues(
  { plan, artifact }: ShardInputs,
  shard: Shard,
  ablation: Ablation,
): Promise<AblationValues[]> {
  switch (ablation) {
    case "mean":
      return [{ kind: ablation, means: await readMeans(artifact) }];
    case "zero":
      return [{ kind: ablation }];
    case "resample":
      return must(plan.donors, "donors").map((draw) => ({
        kind: ablation,
        donors: shard.prompts.map((prompt) => donorOf(plan.prompts, draw, prompt)),
      }));
    default:
      return unreachable(ablation);
  }
}

/** Each row's metric under each intervention, as its mean over the draws of what ablated nodes are set to. */
async function meanOverDraws(
  { plan, model, onProgress }: ShardInputs,
  prompts: readonly Prompt[],
  interventions: readonly Intervention[],
  draws: readonly AblationValues[],
): Promise<Float64Array> {
  const { reduce } = plan.sweep.metric;
  let sum: Float64Array | null = null;
  for (const [draw, values] of draws.entries()) {
    const progress: OnProgress = (done, total) => {
      onProgress(draw * total + done, draws.length * total);
    };
    const result = await computeCircuits(
      model,
      prompts,
      reduce,
      interventions,
      values,
      plan.blocks.circuitRows,
      progress,
    );
    sum = sum === null ? result.metric : sum.map((value, row) => value + must(result.metric[row], "metric"));
  }
  return must(sum ?? undefined, "draw").map((value) => value / draws.length);
}

function sidesOf(prompts: readonly Prompt[]): number {
  return isPaired(prompts) ? 2 : 1;
}
