/** @file The unpatched runs of a block of prompts and how their errors change, computed once for all shards that patch them. */
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../../base/assert.js";
import { canonicalJson } from "../../base/hash.js";
import { tokenPositions } from "../../nodes/span.js";
import { firstDifference, isPaired, SIDES, type MetricReduce, type Prompt } from "../../nodes/prompt.js";
import { loadAnswers, type Answers } from "../../model/metric.js";
import type { Model } from "../../model/model.js";
import { captureRuns, type Run } from "../../passes/capture.js";
import { cleanKeys, type CleanKeys } from "./clean-keys.js";
import { checkRun } from "../../passes/non-finite.js";
import { CORRUPTED, type DonorRuns, type DonorValues } from "./truth-donor.js";

/** How a site's error changes from the clean run to the donor. */
export interface ErrorDelta {
  readonly delta_RD: Tensor;
  /** The largest magnitude in each row. */
  readonly magnitudes: Float32Array;
}

/** The unpatched runs, and what patched rows reuse of them. Owner: whoever made them, through `dispose`. */
export interface UnpatchedRuns extends DonorRuns {
  readonly answers: Answers;
  /** First position at which the donor can differ, or the last one: the corrupted run does from the first other token on. */
  readonly first: number;
  /** By site hook, of parts of errors by node hook; who computes one puts it here, and every shard of the prompts uses it. */
  readonly errorDeltas: Map<string, ErrorDelta>;
  /** Keys and values of the clean run. */
  readonly keys: CleanKeys;
  dispose(): void;
}

/**
 * Runs the prompts clean, and corrupted where they are pairs: results hold that metric whatever the donor is. Owner: caller.
 *
 * @throws PatchbayError `non_finite` naming layer, site and prompt line.
 */
export async function unpatchedRuns(
  model: Model,
  prompts: readonly Prompt[],
  reduce: MetricReduce,
  donor: DonorValues = CORRUPTED,
): Promise<UnpatchedRuns> {
  const owned: { dispose(): void }[] = [];
  const dispose = (): void => {
    for (const one of owned.splice(0)) one.dispose();
  };
  try {
    const answers = await loadAnswers(model.embedding, prompts, reduce);
    owned.push(answers);
    const sides = donor.kind === "corrupted" || isPaired(prompts) ? SIDES : SIDES.slice(0, 1);
    const runs: Run[] = await captureRuns(model, prompts, sides, answers);
    owned.push(...runs);
    const [clean, corrupted] = [must(runs[0], "clean run"), runs[1] ?? null];
    for (const run of runs) await checkRun(run, model.config.nLayers, prompts);
    const keys = cleanKeys(model, clean);
    owned.push(keys);
    const first = donor.kind === "corrupted" ? Math.min(firstDifference(prompts), clean.frame.T - 1) : 0;
    const errorDeltas = new Map<string, ErrorDelta>();
    owned.push({
      dispose: () => {
        for (const { delta_RD } of errorDeltas.values()) delta_RD.dispose();
      },
    });
    const positionOf = tokenPositions(must(prompts[0], "prompt"), "clean");
    return { answers, clean, corrupted, donor, positionOf, first, errorDeltas, keys, dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}

/** Keeps the runs of the latest block of prompts. */
export interface RunCache {
  /** The runs of these prompts. Owner: the cache; valid until the next call. */
  of(model: Model, prompts: readonly Prompt[], reduce: MetricReduce, donor: DonorValues): Promise<UnpatchedRuns>;
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
    of: async (model, prompts, reduce, donor) => {
      // Means are those of the run, whose model this is.
      const key = canonicalJson([prompts, reduce, donor.kind]);
      if (kept?.key === key && kept.model === model) return kept.runs;
      dispose();
      kept = { key, model, runs: await unpatchedRuns(model, prompts, reduce, donor) };
      return kept.runs;
    },
    dispose,
  };
}
