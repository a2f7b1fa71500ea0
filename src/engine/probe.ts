/** @file Runs a probe plan's programs on the sweep's own weights, and says what they take for the work that is counted for them. */
import * as tf from "@tensorflow/tfjs-core";
import { computeCircuits } from "../attribution/circuits.js";
import { computeMeans } from "../attribution/means.js";
import { computeScores } from "../attribution/scores.js";
import { openSpliced, type SplicedModel } from "../attribution/spliced-model.js";
import { computeTruth } from "../attribution/truth.js";
import { must, unreachable } from "../base/assert.js";
import { ABLATED, type Intervention, LIVE, type SiteIntervention } from "../nodes/intervention.js";
import { uniformSite } from "../nodes/node-states.js";
import { variantAblatesErrors } from "../nodes/selection.js";
import { siteHook } from "../nodes/site.js";
import { countWork } from "../cost/estimate.js";
import { expectedNodes } from "../cost/expected-nodes.js";
import { probeConfig } from "../cost/probe-plan.js";
import { type Correction, type ProbeRequest, type Seconds, usualSeconds } from "../cost/rates.js";
import { KEPT_COLUMNS, KEPT_ERRORS } from "../cost/stage-work.js";
import { LAYER_KERNELS } from "../model/layer-kernels.js";
import { circuitSites } from "../plan/evaluation-interventions.js";
import { type Evaluation, evaluationsOf } from "../plan/evaluations.js";
import { type Plan, programTask, type Stage } from "../plan/plan.js";
import { SAE_KERNELS } from "../sae/active-features.js";
import { openCheckpoint } from "../weights/checkpoint.js";
import { findSaes } from "../weights/sae-folder.js";
import { matricesFor } from "../backends/torch-matrices.js";
import { inRounds } from "./rounds.js";
import { median } from "../backends/timing.js";

/** Seconds of a program, by whether they passed in matrix products. */
interface Spent {
  readonly products: number;
  readonly rest: number;
}

/** How much longer each kind of stage takes than on a usual machine, in products and outside of them. */
export async function probe({ plan, inputs, budgetMs }: ProbeRequest): Promise<Record<string, Correction>> {
  const checkpoint = await openCheckpoint(inputs.model);
  const config = probeConfig(checkpoint.config);
  const found = inputs.saes === null ? [] : await findSaes(inputs.saes, checkpoint.config, inputs.saeOptions);
  const entries = found.filter(({ layer }) => layer < config.nLayers);
  const model = await openSpliced({ ...checkpoint, config }, entries, Infinity, matricesFor(plan.sweep.dtype));
  const watch = watchProducts();
  try {
    const { stages } = countWork(plan, config, 1);
    const programs = stages.map(({ id }) => {
      const stage = plan.stages.find((one) => one.id === id);
      return () => timed(() => runStage(plan, model, must(stage, "stage")), watch);
    });
    const rounds = await inRounds(programs, budgetMs);
    return Object.fromEntries(
      stages.map(({ kind, work }, i) => [kind, correctionOf(usualSeconds(work), must(rounds[i], "rounds"))]),
    );
  } finally {
    watch.end();
    model.dispose();
    await checkpoint.close();
  }
}

function correctionOf({ products, traffic, calls }: Seconds, rounds: readonly Spent[]): Correction {
  return {
    products: median(rounds.map((one) => one.products)) / products,
    rest: median(rounds.map((one) => one.rest)) / (traffic + calls),
  };
}

async function timed(run: () => Promise<void>, watch: ReturnType<typeof watchProducts>): Promise<Spent> {
  watch.reset();
  const began = performance.now();
  await run();
  const products = watch.seconds();
  return { products, rest: (performance.now() - began) / 1000 - products };
}

async function runStage(plan: Plan, model: SplicedModel, { id, task, shards }: Stage): Promise<void> {
  const { prompts, blocks } = plan;
  const { reduce } = plan.sweep.metric;
  const program = must(programTask(task), `the engine program of ${id}`);
  const slots = (): readonly [number, number] => must(shards[0]?.slots, "slots");
  switch (program.kind) {
    case "means":
      await computeMeans(model, prompts, reduce);
      return;
    case "scores":
      await computeScores(model, prompts, reduce, program.score);
      return;
    case "truth": {
      const nodes = expectedNodes(plan).slice(...slots());
      const named = nodes.map(({ node }) => node);
      await computeTruth(model, prompts, reduce, named, program.rowsPerBlock);
      return;
    }
    case "circuits": {
      const evaluations = evaluationsOf(plan.sweep).slice(...slots());
      const interventions = evaluations.map((evaluation) => typicalIntervention(plan, evaluation));
      await computeCircuits(model, prompts, reduce, interventions, { kind: "zero" }, blocks.circuitRows);
      return;
    }
    default:
      unreachable(program);
  }
}

/** An evaluation as the cost model takes it to be: circuits keep the same columns at every position, and every other error. */
function typicalIntervention(plan: Plan, evaluation: Evaluation): Intervention {
  if (evaluation.kind === "full") return new Map();
  const positions = must(plan.prompts[0], "prompt").clean.length;
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

/** Times the kernels that multiply matrices. */
function watchProducts(): { seconds: () => number; reset: () => void; end: () => void } {
  const backend = tf.getBackend();
  const products = new Set<string>([
    tf.BatchMatMul,
    SAE_KERNELS.encode,
    SAE_KERNELS.changes,
    LAYER_KERNELS.attention,
    LAYER_KERNELS.attentionGradient,
  ]);
  const stock = tf.getKernelsForBackend(backend).filter(({ kernelName }) => products.has(kernelName));
  let spent = 0;
  const swap = (kernels: readonly tf.KernelConfig[]): void => {
    for (const kernel of kernels) {
      tf.unregisterKernel(kernel.kernelName, backend);
      tf.registerKernel(kernel);
    }
  };
  swap(
    stock.map((kernel) => ({
      ...kernel,
      kernelFunc: (args) => {
        const began = performance.now();
        try {
          return kernel.kernelFunc(args);
        } finally {
          spent += performance.now() - began;
        }
      },
    })),
  );
  return {
    seconds: () => spent / 1000,
    reset: () => void (spent = 0),
    end: () => {
      swap(stock);
    },
  };
}
