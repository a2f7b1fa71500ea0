/** @file What a supervisor and its engine process say to each other. Both come from one build, over a pipe of structured clones. */
import type { InputPaths } from "../plan/plan.js";
import type { Failure } from "../wire/messages.js";

/** Supervisor to engine: first `init`, then one `run` at a time; the next `run` acknowledges the last result. */
export type ToEngine =
  | {
      readonly kind: "init";
      /** Files of the run's plan, called by the SHA-256 of their bytes. */
      readonly plan: { readonly plan: string; readonly prompts: string };
      readonly planHash: string;
      readonly inputs: InputPaths;
      readonly backend: string;
      readonly threads: number;
      /** Memory for this engine. */
      readonly memoryMib: number;
    }
  | {
      readonly kind: "run";
      readonly shard: string;
      readonly attempt: number;
      /** Local files of the artifacts that the stage reads, by name. They are called by the SHA-256 of their bytes. */
      readonly artifacts: Readonly<Record<string, string>>;
    };

/** What a shard's program gave. */
export interface EngineResult {
  readonly payload: Uint8Array;
  /** SHA-256 of the payload. */
  readonly sha256: string;
  /** Prompts in it. */
  readonly count: number;
  readonly units: Readonly<Record<string, number>>;
  /** Wall time of the program. */
  readonly seconds: number;
}

/** Engine to supervisor. Failures answer what was asked last; progress also means that the engine is alive. */
export type FromEngine =
  | { readonly kind: "ready"; readonly loadSeconds: number }
  | { readonly kind: "progress"; readonly done: number; readonly total: number }
  | { readonly kind: "result"; readonly result: EngineResult }
  | { readonly kind: "failed"; readonly failure: Failure };

/** Largest payload that an engine hands over, in bytes. A shard that makes more is planned too large. */
export const MAX_PAYLOAD_BYTES = 2 ** 30;
