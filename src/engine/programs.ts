/** @file Runs shards: each kind of stage by the program of the experiment that it belongs to, opened once. */
import { must } from "../base/assert.js";
import type { HasProgram, ShardInputs, ShardOutcome, ShardProgram } from "../passes/shard-program.js";
import type { Shard, Stage, StageTask } from "../plan/plan.js";
import { type HasTasks, taskKind } from "../plan/task-kinds.js";

/** Programs of an engine, opened as shards ask for them. */
export interface Programs {
  /** The unit in which a stage's work is counted. */
  unitOf(stage: Stage): string;
  /** The program of a task. */
  open(task: StageTask): Promise<ShardProgram>;
  /**
   * Computes one shard. What programs of other kinds kept is released first.
   * @throws PatchbayError `non_finite`, `out_of_memory`, `application`.
   */
  run(inputs: ShardInputs, stage: Stage, shard: Shard): Promise<ShardOutcome>;
}

/** Makes the programs of these experiments; none is loaded yet. */
export function openPrograms(experiments: readonly HasTasks<HasProgram>[]): Programs {
  const opened = new Map<string, ShardProgram>();
  const open = async (task: StageTask): Promise<ShardProgram> => {
    const found = opened.get(task.kind);
    if (found !== undefined) return found;
    const module = await taskKind(experiments, task).program?.();
    const program = must(module, `the engine program of ${task.kind}`).openProgram();
    opened.set(task.kind, program);
    return program;
  };
  return {
    unitOf: ({ task }) => taskKind(experiments, task).unit,
    open,
    run: async (inputs, { task }, shard) => {
      for (const [kind, program] of opened) if (kind !== task.kind) program.release?.();
      return await (await open(task)).run(inputs, task, shard);
    },
  };
}
