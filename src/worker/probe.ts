/** @file Runs a probe plan's programs on the sweep's own weights, and says how much longer they take than rates predict. */
import * as tf from "@tensorflow/tfjs-core";
import { computeCircuits } from "../attribution/circuits.js";
import { computeMeans } from "../attribution/means.js";
import { computeScores } from "../attribution/scores.js";
import { openSpliced, type SplicedModel } from "../attribution/spliced-model.js";
import { computeTruth } from "../attribution/truth.js";
import { createRunCache } from "../attribution/unpatched-runs.js";
import { must } from "../base/assert.js";
import { ABLATED, type Intervention, LIVE, type SiteIntervention } from "../circuit/intervention.js";
import { uniformSite } from "../circuit/node-states.js";
import { variantAblatesErrors } from "../circuit/selection.js";
import { siteHook } from "../circuit/site.js";
import { countWork } from "../cost/estimate.js";
import { expectedNodes } from "../cost/expected-nodes.js";
import { probeConfig, probePlan, probePrompts } from "../cost/probe-plan.js";
import { type Correction, type ProbeRequest, type Rates, secondsOf } from "../cost/rates.js";
import { KEPT_COLUMNS, KEPT_ERRORS } from "../cost/stage-work.js";
import { LAYER_KERNELS } from "../model/layer-kernels.js";
import { circuitSites } from "../plan/evaluation-interventions.js";
import { type Evaluation, evaluationsOf } from "../plan/evaluations.js";
import type { Plan, Stage } from "../plan/plan.js";
import { SAE_KERNELS } from "../sae/active-features.js";
import { openCheckpoint } from "../weights/checkpoint.js";
import { findSaes } from "../weights/sae-folder.js";
import type { ModelConfig } from "../weights/model-config.js";
import { matricesFor } from "./backends/torch-matrices.js";
import { median } from "./timing.js";

/** Times each program runs after its first, which is not counted, while there is time; the median is taken. */
const REPEATS = 3;
/** Rows of its products, at least: thinner ones run at rates that nothing in the plan runs at. */
const LEAST_ROWS = 64;

/** Seconds of a program, by whether they passed in matrix products. */
interface Spent {
  readonly products: number;
  readonly rest: number;
}

/** How much longer each kind of stage takes than the rates say, in products and outside of them. */
export async function probe({ plan, inputs, budgetMs }: ProbeRequest, rates: Rates): Promise<Rates["corrections"]> {
  const checkpoint = await openCheckpoint(inputs.model);
  const config = probeConfig(checkpoint.config);
  const found = inputs.saes === null ? [] : await findSaes(inputs.saes, checkpoint.config, inputs.saeOptions);
  const entries = found.filter(({ layer }) => layer < config.nLayers);
  const small = smallPlan(plan, checkpoint.config, rates, budgetMs / 1000);
  const model = await openSpliced({ ...checkpoint, config }, entries, Infinity, matricesFor(plan.sweep.dtype));
  const watch = watchProducts();
  try {
    const corrections: Record<string, Correction> = {};
    const { stages } = countWork(small, config, 1);
    for (const { id, work } of stages) {
      const stage = must(
        small.stages.find((one) => one.id === id),
        "stage",
      );
      const spent = await measure(() => runStage(small, model, stage), watch, budgetMs / stages.length);
      const expected = secondsOf(work, rates);
      corrections[stage.task.kind] = {
        products: spent.products / expected.products,
        rest: spent.rest / (expected.traffic + expected.calls),
      };
    }
    return corrections;
  } finally {
    watch.end();
    model.dispose();
    await checkpoint.close();
  }
}

/** As many prompts as the time allows. */
function smallPlan(plan: Plan, config: ModelConfig, rates: Rates, seconds: number): Plan {
  const prompts = probePrompts(plan);
  const least = Math.min(prompts.length, Math.ceil(LEAST_ROWS / must(prompts[0], "prompt").clean.length));
  for (let count = prompts.length; ; count = Math.max(least, Math.ceil(count / 2))) {
    const small = probePlan(plan, config, prompts.slice(0, count));
    const works = countWork(small, probeConfig(config), 1).stages.map(({ work }) => secondsOf(work, rates));
    const once = works.reduce((sum, { products, traffic, calls }) => sum + products + traffic + calls, 0);
    if (count === least || once * (1 + REPEATS) < seconds) return small;
  }
}

async function runStage(plan: Plan, model: SplicedModel, { task, shards }: Stage): Promise<void> {
  const { prompts, blocks } = plan;
  const { reduce } = plan.sweep.metric;
  if (task.kind === "means") await computeMeans(model, prompts, reduce);
  if (task.kind === "scores") await computeScores(model, prompts, reduce, task.score);
  if (task.kind === "truth") {
    const nodes = expectedNodes(plan).map(({ node }) => node);
    const runs = createRunCache();
    for (const { slots } of shards)
      await computeTruth(
        model,
        prompts,
        reduce,
        nodes.slice(...must(slots, "slots")),
        task.rowsPerBlock,
        undefined,
        runs,
      );
    runs.dispose();
  }
  if (task.kind === "circuits") {
    const interventions = evaluationsOf(plan.sweep).map((evaluation) => typicalIntervention(plan, evaluation));
    await computeCircuits(model, prompts, reduce, interventions, { kind: "zero" }, blocks.circuitRows);
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

async function measure(
  run: () => Promise<void>,
  watch: ReturnType<typeof watchProducts>,
  budgetMs: number,
): Promise<Spent> {
  const times: Spent[] = [];
  const began = performance.now();
  await run();
  while (times.length === 0 || (times.length < REPEATS && performance.now() - began < budgetMs)) {
    watch.reset();
    const before = performance.now();
    await run();
    const total = (performance.now() - before) / 1000;
    times.push({ products: watch.seconds(), rest: total - watch.seconds() });
  }
  return { products: median(times.map(({ products }) => products)), rest: median(times.map(({ rest }) => rest)) };
}

/** Times the kernels that multiply matrices. */
function watchProducts(): { seconds: () => number; reset: () => void; end: () => void } {
  const backend = tf.getBackend();
  const products = new Set<string>([
    tf.BatchMatMul,
    SAE_KERNELS.encode,
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
