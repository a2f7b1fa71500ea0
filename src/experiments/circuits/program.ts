/** @file The engine's program for circuits. */
import { evaluationsOf, type Evaluation } from "./evaluations.js";
import { circuitSites } from "../../plan/circuit-sites.js";
import { type AblationValues, computeCircuits } from "./circuits.js";
import { type StageTask, type Shard, promptsOf, type Plan } from "../../plan/plan.js";
import { donorOf } from "../../plan/donors.js";
import type { ShardProgram, ShardInputs, ShardOutcome } from "../../passes/shard-program.js";
import type { OnProgress } from "../../passes/breathe.js";
import { siteHook } from "../../nodes/site.js";
import { variantAblatesErrors } from "../../nodes/selection.js";
import { isPaired } from "../../nodes/prompt.js";
import { positionCount } from "../../nodes/span.js";
import { uniformSite } from "../../nodes/node-states.js";
import { type Ablation, type Intervention, type SiteIntervention, ABLATED, LIVE } from "../../nodes/intervention.js";
import { must, unreachable } from "../../base/assert.js";
import { keepForPlan } from "../../passes/keep-for-plan.js";
import { fittedModel } from "../../passes/fitted-model.js";
import { readErrorFit } from "../../artifacts/error-fit-file.js";
import { encodeCircuits } from "./payload.js";
import { type KeptChoices, keepChoices } from "./kept-choices.js";
import { type SideRun, sideRuns } from "./side-runs.js";
import { KEPT_COLUMNS, KEPT_ERRORS } from "./assumed-sizes.js";

/** Makes the program, which keeps what it chose for the plan of the latest shard. */
export function openProgram(): ShardProgram {
  const kept = keepForPlan(keepChoices);
  return {
    run: (inputs, _task, shard) => run(inputs, kept.of(inputs.plan), shard),
    probe,
    release: () => {
      kept.forget();
    },
  };
}

async function run(given: ShardInputs, choices: KeptChoices, shard: Shard): Promise<ShardOutcome> {
  const { plan, artifact } = given;
  const inputs = { ...given, model: fittedModel(given, readErrorFit) };
  const prompts = promptsOf(plan, shard);
  const [start, end] = must(shard.slots, "slots");
  const evaluations = choices.evaluations.slice(start, end);
  const runs = sideRuns(prompts);
  const rowCount = (isPaired(prompts) ? 2 : 1) * prompts.length;
  const metric = new Float64Array(evaluations.length * rowCount);
  const length = positionCount(must(prompts[0], "prompt"));
  for (const ablation of new Set(evaluations.map(ablationOf))) {
    const members = evaluations.flatMap((evaluation, e) => (ablationOf(evaluation) === ablation ? [e] : []));
    const interventions: Intervention[] = [];
    for (const e of members) interventions.push(await choices.intervention(start + e, length, artifact));
    const draws = await donorValues(inputs, choices, shard, ablation);
    let first = 0;
    for (const one of runs) {
      const mean = await meanOverDraws(inputs, one, interventions, draws);
      const count = mean.length / members.length;
      members.forEach((e, i) => {
        metric.set(mean.subarray(i * count, (i + 1) * count), e * rowCount + first);
      });
      first += count;
    }
  }
  return { payload: encodeCircuits({ metric }), count: prompts.length, units: evaluations.length * rowCount };
}

/** The unablated run needs no donor: it goes with zero ablation. */
function ablationOf(evaluation: Evaluation): Ablation {
  return evaluation.kind === "full" ? "zero" : evaluation.ablation;
}

/** What ablated nodes are set to, once for each draw of donors. */
async function donorValues(
  { plan, artifact }: Pick<ShardInputs, "plan" | "artifact">,
  choices: KeptChoices,
  shard: Shard,
  ablation: Ablation,
): Promise<AblationValues[]> {
  switch (ablation) {
    case "mean":
      return [{ kind: ablation, means: await choices.means(artifact) }];
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
  side: SideRun,
  interventions: readonly Intervention[],
  draws: readonly AblationValues[],
): Promise<Float64Array> {
  const { reduce } = plan.sweep.metric;
  let sum: Float64Array | null = null;
  for (const [draw, values] of draws.entries()) {
    const progress: OnProgress = (done, total) => {
      onProgress(draw * total + done, draws.length * total);
    };
    const result = await computeCircuits(model, side.prompts, {
      reduce,
      interventions: interventions.map(side.interventionByToken),
      ablation: side.valuesByToken(values),
      rowsPerBlock: plan.blocks.circuitRows,
      side: side.side,
      onProgress: progress,
    });
    sum = sum === null ? result.metric : sum.map((value, row) => value + must(result.metric[row], "metric"));
  }
  return must(sum ?? undefined, "draw").map((value) => value / draws.length);
}

async function probe({ plan, model }: Omit<ShardInputs, "artifact">, _task: StageTask, shard: Shard): Promise<void> {
  const evaluations = evaluationsOf(plan.sweep).slice(...must(shard.slots, "slots"));
  const { reduce } = plan.sweep.metric;
  for (const { prompts, tokens } of sideRuns(promptsOf(plan, shard)))
    await computeCircuits(model, prompts, {
      reduce,
      interventions: evaluations.map((evaluation) => typicalIntervention(plan, evaluation, tokens)),
      ablation: { kind: "zero" },
      rowsPerBlock: plan.blocks.circuitRows,
    });
}

/** An evaluation as the cost model takes it to be: circuits keep the same columns at every position, and every other error. */
function typicalIntervention(plan: Plan, evaluation: Evaluation, positions: number): Intervention {
  if (evaluation.kind === "full") return new Map();
  const sites = circuitSites(plan).map((at, s): [string, SiteIntervention] => {
    const site = uniformSite(at, positions, ABLATED);
    if (evaluation.kind !== "circuit") return [siteHook(at), site];
    const nodes = site.features.length / positions;
    const features = site.features.map((state, i) => ((i % nodes) % Math.round(1 / KEPT_COLUMNS) === 0 ? LIVE : state));
    const ablates = variantAblatesErrors(evaluation.circuit.variant, at.site);
    const errors = site.errors.map((state, t) =>
      !ablates && (s + t) % Math.round(1 / KEPT_ERRORS) === 0 ? LIVE : state,
    );
    return [siteHook(at), { ...site, features, errors }];
  });
  return new Map(sites);
}
