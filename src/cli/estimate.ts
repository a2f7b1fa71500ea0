/** @file `patchbay run --estimate`: what a sweep will take, before it runs. */
import type { CountedTask } from "../cost/counted-task.js";
import { countWork, predict } from "../cost/estimate.js";
import { probePlan, type ProbedExperiment } from "../cost/probe-plan.js";
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

/** Estimates a planned run; `budgetMs` is for measuring. */
export async function estimateRun(
  experiments: readonly EstimatedExperiment[],
  { plan, inputs }: PlannedRun,
  place: CalibrationPlace,
  budgetMs: number,
): Promise<Prediction> {
  const config = readModelConfig(inputs.model);
  const run = countWork(experiments, plan, config, place.workers);
  const { model, saes, saeOptions } = inputs;
  const rates = await calibrate(
    { plan: probePlan(experiments, plan, config), inputs: { model, saes, saeOptions }, budgetMs },
    place,
  );
  return predict(run, rates, place.workers, place.threads);
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

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`;

const show = (value: number): string =>
  value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
