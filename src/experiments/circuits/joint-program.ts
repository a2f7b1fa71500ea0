/**
 * @file The engine's program for patching whole sets at once.
 *
 * A joint patch is an evaluation whose ablated nodes are the set's. Its rows are the clean prompts, and its donor is the same prompt's
 * corrupted run, the means, or 0. Members take the donor's values whatever was patched upstream; all else is live.
 * Source: EXPERIMENTS, "Truth by sets".
 */
import { readErrorFit } from "../../artifacts/error-fit-file.js";
import type { Means } from "../../artifacts/means-file.js";
import { must, unreachable } from "../../base/assert.js";
import { ABLATED, LIVE } from "../../nodes/intervention.js";
import { interventionOfSets } from "../../nodes/list-interventions.js";
import { isPaired, type Prompt } from "../../nodes/prompt.js";
import { positionCount } from "../../nodes/span.js";
import { needsAlignment } from "../../passes/align-rows.js";
import { keepForPlan } from "../../passes/keep-for-plan.js";
import { fittedModel } from "../../passes/fitted-model.js";
import type { ShardInputs, ShardOutcome, ShardProgram } from "../../passes/shard-program.js";
import type { TruthDonor } from "../../plan/node-list.js";
import { promptsOf, type Shard } from "../../plan/plan.js";
import { type AblationValues, computeCircuits } from "./circuits.js";
import { circuitSites } from "../../plan/circuit-sites.js";
import { encodeJointResult } from "./joint-payload.js";
import type { JointTask } from "./task.js";
import { jointUses } from "./points.js";
import { type KeptChoices, keepChoices } from "./kept-choices.js";
import { sideRuns } from "./side-runs.js";

/** Makes the program, which keeps what it read for a plan. A probe has no such stage: its truth is of single nodes. */
export function openProgram(): ShardProgram<JointTask> {
  const kept = keepForPlan(keepChoices);
  return {
    run: (inputs, task, shard) => run(inputs, kept.of(inputs.plan), task, shard),
    probe: () => Promise.resolve(),
    release: () => {
      kept.forget();
    },
  };
}

async function run(
  given: ShardInputs,
  choices: KeptChoices,
  { donor }: JointTask,
  shard: Shard,
): Promise<ShardOutcome> {
  const { plan, artifact, onProgress } = given;
  const model = fittedModel(given, readErrorFit);
  const prompts = promptsOf(plan, shard);
  const length = positionCount(must(prompts[0], "prompt"));
  const clean = must(sideRuns(prompts)[0], "clean run");
  const sets = await choices.sets(artifact);
  const uses = jointUses(plan.sweep).slice(...must(shard.slots, "slots"));
  const patches = uses.map(({ key, set }) =>
    interventionOfSets(circuitSites(plan), length, LIVE, [{ nodes: must(sets.get(key), set), state: ABLATED }]),
  );
  const { reduce } = plan.sweep.metric;
  const rowsPerBlock = plan.blocks.circuitRows;
  const { metric } = await computeCircuits(model, cleanOnly(clean.prompts), {
    reduce,
    interventions: [new Map(), ...patches.map(clean.interventionByToken)],
    ablation: clean.valuesByToken(await valuesOf(donor, prompts, () => choices.means(artifact))),
    rowsPerBlock,
    onProgress,
  });
  const unpatched = { reduce, interventions: [new Map()], ablation: { kind: "zero" }, rowsPerBlock } as const;
  const corrupted = isPaired(prompts)
    ? (await computeCircuits(model, corruptedOnly(prompts), unpatched)).metric
    : new Float64Array(prompts.length).fill(Number.NaN);
  const payload = encodeJointResult({
    metricClean: metric.slice(0, prompts.length),
    metricCorrupted: corrupted,
    metricPatched: metric.slice(prompts.length),
  });
  return { payload, count: prompts.length, units: uses.length * prompts.length };
}

async function valuesOf(
  donor: TruthDonor,
  prompts: readonly Prompt[],
  means: () => Promise<Means>,
): Promise<AblationValues> {
  switch (donor) {
    case "corrupted":
      return needsAlignment(prompts)
        ? { kind: "counterparts", pairs: prompts }
        : { kind: "resample", donors: corruptedOnly(prompts) };
    case "mean":
      return { kind: donor, means: await means() };
    case "zero":
      return { kind: donor };
    default:
      return unreachable(donor);
  }
}

function cleanOnly(prompts: readonly Prompt[]): Prompt[] {
  return prompts.map((prompt) => ({ ...prompt, corrupted: null }));
}

/** The corrupted prompts as clean ones. */
function corruptedOnly(prompts: readonly Prompt[]): Prompt[] {
  return prompts.map((prompt) => ({
    ...prompt,
    clean: must(prompt.corrupted ?? undefined, "corrupted prompt"),
    corrupted: null,
  }));
}
