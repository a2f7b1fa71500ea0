/** @file `patchbay run --estimate`: what a sweep will take, before it runs. */
import { counted } from "../base/counted.js";
import type { CountedTask } from "../cost/counted-task.js";
import { countWork, predict, type RunWork } from "../cost/estimate.js";
import { probePlan, type ProbedExperiment } from "../cost/probe-plan.js";
import { usualSeconds } from "../cost/rates.js";
import type { PlannedRun } from "../plan/make-plan.js";
import type { HasTasks } from "../plan/task-kinds.js";
import type { Prediction } from "../run/run-folder.js";
import { readModelConfig } from "../families/read-config.js";
import { calibrate, type CalibrationPlace } from "./calibrate.js";

/** Time for measuring before an ordinary run: programs that take longer than a moment run once, */
export const SHORT_CALIBRATION_MS = 1500;
/** and for an estimate: those of Gemma-2-2b's widths run twice on two cores. */
export const CALIBRATION_MS = 12_000;

/** What an estimate needs of an experiment. */
type EstimatedExperiment = ProbedExperiment & HasTasks<CountedTask>;

/** Less than this, in seconds of a usual machine, is over before its speed would be measured. */
const WORTH_MEASURING = 1;

/** Estimates a planned run of so much work; `budgetMs` is for measuring. */
export async function estimateRun(
  experiments: readonly EstimatedExperiment[],
  { plan, inputs, work }: PlannedRun & { readonly work: RunWork },
  place: CalibrationPlace,
  budgetMs: number,
): Promise<Prediction> {
  const { model, saes, saeOptions } = inputs;
  const config = readModelConfig(model);
  const rates = await calibrate(
    { plan: probePlan(experiments, plan, config), inputs: { model, saes, saeOptions }, budgetMs },
    place,
  );
  return predict(work, rates, place.workers, place.threads);
}

/** Whether a run is so small that measuring for a prediction would take longer than it. */
export function isSmall({ stages }: RunWork): boolean {
  const seconds = stages.map(({ work }) => {
    const { products, traffic, calls } = usualSeconds(work);
    return products + traffic + calls;
  });
  return seconds.reduce((a, b) => a + b, 0) < WORTH_MEASURING;
}

/** What a planned run asks of its engines. */
export function workOf(
  experiments: readonly EstimatedExperiment[],
  { plan, inputs }: PlannedRun,
  { workers }: CalibrationPlace,
): RunWork {
  return countWork(experiments, plan, readModelConfig(inputs.model), workers);
}

const COLUMNS = ["stage", "shards", "rows", "TFLOP", "GB moved", "kernel calls", "peak MiB", "seconds"] as const;

/** The estimate as a table for people. */
export function estimateText({ workers, threads, stages, weights_mib, peak_mib, gemm_gflops }: Prediction): string {
  const rows = Object.entries(stages).map(([stage, one]) => [
    stage,
    String(one.shards),
    String(one.units),
    show(Object.values(one.flops).reduce((sum, flops) => sum + flops, 0) / 1e12),
    show(one.bytes / 1e9),
    String(one.kernel_calls),
    String(Math.round(one.peak_mib)),
    show(one.elapsed_seconds),
  ]);
  const table = [[...COLUMNS], ...rows];
  const widths = COLUMNS.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  const lines = table.map((row) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join("  "),
  );
  const total = Object.values(stages).reduce((sum, one) => sum + one.elapsed_seconds, 0);
  return [
    ...lines,
    `${show(total)} s on ${counted(workers, "worker")} of ${counted(threads, "thread")}, without loading weights (${Math.round(weights_mib)} MiB)`,
    `at most ${Math.round(peak_mib)} MiB resident in each engine; products run at ${show(gemm_gflops)} GFLOP/s here`,
    "which features differ, and how many a circuit keeps, is assumed: docs/performance.md says what",
  ].join("\n");
}

const show = (value: number): string =>
  value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
