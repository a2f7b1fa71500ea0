/** @file The estimate of a run before it starts: work, memory and time of every stage. */
import { tensorShapes, tensorsOf, type ModelConfig } from "../families/family.js";
import type { Plan } from "../plan/plan.js";
import type { Prediction } from "../run/run-folder.js";
import { type Rates, secondsOf } from "./rates.js";
import type { CostModel } from "./run-work.js";
import { type StageWork, stageWorks } from "./stage-work.js";
import type { HasTasks } from "../plan/task-kinds.js";
import type { CountedTask } from "./counted-task.js";

/** Work of a whole run. */
export interface RunWork {
  readonly stages: readonly StageWork[];
  /** Bytes of weights that an engine holds. */
  readonly weightBytes: number;
  readonly valueBytes: number;
  /** As {@link CostModel.ownKernels}. */
  readonly ownKernels: boolean;
}

/** Counts what `workers` engines will be asked for. */
export function countWork(
  experiments: readonly HasTasks<CountedTask>[],
  plan: Plan,
  config: ModelConfig,
  workers: number,
): RunWork {
  const valueBytes = plan.sweep.dtype === "bfloat16" ? 2 : 4;
  const ownKernels = plan.engine.backend === "torch";
  const model: CostModel = { config, saes: plan.saes, valueBytes, ownKernels };
  const stages = stageWorks(experiments, { plan, model, workers });
  return { stages, weightBytes: weightCount(plan, config) * valueBytes, valueBytes, ownKernels };
}

/** Numbers in the layers, the SAEs and the fits of their errors; embedding rows are read one by one. */
function weightCount({ saes, fitPrompts }: Plan, config: ModelConfig): number {
  let count = 0;
  const shapes = tensorShapes(config);
  shapes.delete(tensorsOf(config).embedding.name);
  for (const shape of shapes.values()) count += shape.reduce((product, length) => product * length, 1);
  const fit = (width: number): number => (fitPrompts === undefined ? 0 : (width + 1) * width);
  return saes.reduce((sum, { dIn, dSae }) => sum + 2 * dIn * dSae + 2 * dSae + dIn + fit(dIn), count);
}

const MIB = 2 ** 20;
/**
 * What an engine takes beyond its weights: bytes resident for each byte alive, and its heap. torch's allocator keeps blocks for reuse,
 * about as much again as is alive, and the C library some of what it is given back.
 */
const RESIDENT = { torch: { share: 2.1, heap: 128 * MIB }, other: { share: 1.1, heap: 200 * MIB } };

/** The estimate at measured rates. */
export function predict(run: RunWork, rates: Rates, workers: number, threads: number): Prediction {
  const { share, heap } = RESIDENT[run.ownKernels ? "torch" : "other"];
  const base = rates.baseBytes + heap + run.weightBytes;
  const stages = Object.fromEntries(
    run.stages.map(({ id, kind, shards, units, work, alive }) => {
      const parts = secondsOf(kind, work, rates);
      const seconds = parts.products + parts.traffic + parts.calls;
      return [
        id,
        {
          shards,
          units,
          seconds,
          elapsed_seconds: seconds / Math.min(workers, shards),
          seconds_by_part: parts,
          flops: work.flops(),
          bytes: work.bytes(),
          kernel_calls: Math.round(work.calls),
          peak_mib: (base + alive * run.valueBytes * share) / MIB,
        },
      ];
    }),
  );
  const all = Object.values(stages);
  const flops = all.reduce((sum, one) => sum + Object.values(one.flops).reduce((a, b) => a + b, 0), 0);
  const inProducts = all.reduce((sum, one) => sum + one.seconds_by_part.products, 0);
  return {
    workers,
    threads,
    weights_mib: run.weightBytes / MIB,
    peak_mib: Math.max(base / MIB, ...all.map((one) => one.peak_mib)),
    gemm_gflops: inProducts === 0 ? 0 : flops / inProducts / 1e9,
    stages,
  };
}
