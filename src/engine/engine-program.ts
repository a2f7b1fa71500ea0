/** @file What an engine runs: one program for all shards of a run, opened once with the run's inputs. */
import type { ReadArtifact } from "../run/artifacts.js";
import type { InputPaths, Plan, Shard, Stage } from "../plan/plan.js";

/** Told how far a program is; every call also proves that the engine is alive. */
export type ReportProgress = (done: number, total: number) => void;

/** What a program is opened with. */
export interface EngineInit {
  readonly plan: Plan;
  readonly inputs: InputPaths;
  readonly backend: string;
  readonly threads: number;
  /** Memory for this engine. */
  readonly memoryMib: number;
  readonly progress: ReportProgress;
}

/** What a shard is run with. */
export interface EngineContext {
  /** Reads an artifact that the stage reads. @throws PatchbayError `damaged_artifact`; Error for one the stage does not read. */
  readonly artifact: ReadArtifact;
  readonly attempt: number;
  readonly progress: ReportProgress;
}

/** What a shard gives. */
export interface EngineOutcome {
  readonly payload: Uint8Array;
  /** Prompts in it. */
  readonly count: number;
  readonly units: Readonly<Record<string, number>>;
}

/** An opened program. It need not be closed: it ends with its process. */
export interface EngineProgram {
  /** @throws PatchbayError; anything else counts as `application`. */
  run(shard: Shard, stage: Stage, context: EngineContext): Promise<EngineOutcome>;
}
