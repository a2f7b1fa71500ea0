/** @file The clean and corrupted run of a block of prompts and their errors' differences, computed once for all shards that patch them. */
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../../base/assert.js";
import { canonicalJson } from "../../base/hash.js";
import { firstDifference, SIDES, type MetricReduce, type Prompt } from "../../nodes/prompt.js";
import { loadAnswers, type Answers } from "../../model/metric.js";
import type { Model } from "../../model/model.js";
import { captureRuns, type Run } from "../../passes/capture.js";
import { cleanKeys, type CleanKeys } from "./clean-keys.js";
import { checkRun } from "../../passes/non-finite.js";

/** How a site's error changes from the clean to the corrupted run. */
export interface ErrorDelta {
  readonly delta_RD: Tensor;
  /** The largest magnitude in each row. */
  readonly magnitudes: Float32Array;
}

/** Both unpatched runs, and what patched rows reuse of them. Owner: whoever made them, through `dispose`. */
export interface UnpatchedRuns {
  readonly answers: Answers;
  readonly clean: Run;
  readonly corrupted: Run;
  /** First position that differs, or the last one. */
  readonly first: number;
  /** By site hook, of parts of errors by node hook; who computes one puts it here, and every shard of the prompts uses it. */
  readonly errorDeltas: Map<string, ErrorDelta>;
  /** Keys and values of the clean run. */
  readonly keys: CleanKeys;
  dispose(): void;
}

/**
 * Runs the prompts clean and corrupted. Owner: caller.
 *
 * @throws PatchbayError `non_finite` naming layer, site and prompt line.
 */
export async function unpatchedRuns(
  model: Model,
  prompts: readonly Prompt[],
  reduce: MetricReduce,
): Promise<UnpatchedRuns> {
  const owned: { dispose(): void }[] = [];
  const dispose = (): void => {
    for (const one of owned.splice(0)) one.dispose();
  };
  try {
    const answers = await loadAnswers(model.embedding, prompts, reduce);
    owned.push(answers);
    const runs = await captureRuns(model, prompts, SIDES, answers);
    owned.push(...runs);
    const [clean, corrupted] = [must(runs[0], "clean run"), must(runs[1], "corrupted run")];
    for (const run of runs) await checkRun(run, model.config.nLayers, prompts);
    const keys = cleanKeys(model, clean);
    owned.push(keys);
    const first = Math.min(firstDifference(prompts), clean.frame.T - 1);
    const errorDeltas = new Map<string, ErrorDelta>();
    owned.push({
      dispose: () => {
        for (const { delta_RD } of errorDeltas.values()) delta_RD.dispose();
      },
    });
    return { answers, clean, corrupted, first, errorDeltas, keys, dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}

/** Keeps the runs of the latest block of prompts. */
export interface RunCache {
  /** The runs of these prompts. Owner: the cache; valid until the next call. */
  of(model: Model, prompts: readonly Prompt[], reduce: MetricReduce): Promise<UnpatchedRuns>;
  /** Releases what is kept. The cache can be used again. */
  dispose(): void;
}

/** An empty cache. */
export function createRunCache(): RunCache {
  let kept: { readonly key: string; readonly model: Model; readonly runs: UnpatchedRuns } | undefined;
  const dispose = (): void => {
    kept?.runs.dispose();
    kept = undefined;
  };
  return {
    of: async (model, prompts, reduce) => {
      const key = canonicalJson([prompts, reduce]);
      if (kept?.key === key && kept.model === model) return kept.runs;
      dispose();
      kept = { key, model, runs: await unpatchedRuns(model, prompts, reduce) };
      return kept.runs;
    },
    dispose,
  };
}
