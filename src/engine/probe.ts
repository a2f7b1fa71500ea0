/** @file Runs a probe plan's programs on the sweep's own weights, and says what they take for the work that is counted for them. */
import * as tf from "@tensorflow/tfjs-core";
import { openSpliced } from "../passes/spliced-model.js";
import { must } from "../base/assert.js";
import { countWork } from "../cost/estimate.js";
import { probeConfig } from "../cost/probe-plan.js";
import { type Correction, type ProbeRequest, type Seconds, usualSeconds } from "../cost/rates.js";
import { LAYER_KERNELS } from "../model/layer-kernels.js";
import { SAE_KERNELS } from "../sae/active-features.js";
import { openCheckpoint } from "../weights/checkpoint.js";
import { findSaes } from "../weights/sae-folder.js";
import { matricesFor } from "../backends/torch-matrices.js";
import { inRounds } from "./rounds.js";
import { median } from "../backends/timing.js";
import { stageOf } from "../artifacts/stage-records.js";
import type { CountedTask } from "../cost/counted-task.js";
import type { HasProgram } from "../passes/shard-program.js";
import type { HasTasks } from "../plan/task-kinds.js";
import { openPrograms } from "./programs.js";

/** Seconds of a program, by whether they passed in matrix products. */
interface Spent {
  readonly products: number;
  readonly rest: number;
}

/** How much longer each kind of stage takes than on a usual machine, in products and outside of them. */
export async function probe(
  experiments: readonly HasTasks<CountedTask & HasProgram>[],
  { plan, inputs, budgetMs }: ProbeRequest,
): Promise<Record<string, Correction>> {
  const checkpoint = await openCheckpoint(inputs.model);
  const config = probeConfig(checkpoint.config);
  const found = inputs.saes === null ? [] : await findSaes(inputs.saes, checkpoint.config, inputs.saeOptions);
  const entries = found.filter(({ layer }) => layer < config.nLayers);
  const model = await openSpliced({ ...checkpoint, config }, entries, Infinity, matricesFor(plan.sweep.dtype));
  const watch = watchProducts();
  try {
    const { stages } = countWork(experiments, plan, config, 1);
    const opened = openPrograms(experiments);
    const programs = stages.map(({ id }) => {
      const { task, shards } = stageOf(plan, id);
      return () =>
        timed(async () => {
          const program = await opened.open(task);
          await program.probe({ plan, model, onProgress: () => undefined }, task, shards.at(0));
        }, watch);
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
