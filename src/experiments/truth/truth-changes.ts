/** @file How a site's features and its error change from the clean to the corrupted run. Source: REFERENCE 4. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../../base/assert.js";
import { siteHook, type SaeSiteAt } from "../../nodes/site.js";
import { readAndDispose } from "../../model/read-tensor.js";
import { withScope } from "../../model/tensor-scope.js";
import { encodeSome } from "../../sae/sae.js";
import { laterRows, padRows, wholeRow } from "../../passes/later-positions.js";
import { nodeChanges } from "../../passes/site-scores.js";
import type { SplicedModel } from "../../passes/spliced-model.js";
import type { ErrorDelta, UnpatchedRuns } from "./unpatched-runs.js";

/** Changes of some features, and their decoder rows: the SAE itself need not stay on the device. */
export interface FeatureChanges {
  /** By flat row of the prompts. */
  readonly changes: ReadonlyMap<number, Float32Array>;
  readonly decoder_ND: Tensor;
  /** Row of each feature. */
  readonly rowOf: ReadonlyMap<number, number>;
}

/** How the site's error changes, encoded from the first position on that differs. Owner: the runs, which keep it. */
export async function errorDelta(spliced: SplicedModel, runs: UnpatchedRuns, at: SaeSiteAt): Promise<ErrorDelta> {
  const hook = siteHook(at);
  const { clean, corrupted, first, errorDeltas } = runs;
  const { batch } = clean.frame;
  const computed =
    errorDeltas.get(hook) ??
    (await spliced.withSae(at, async (sae) =>
      withScope(async (own) => {
        const [x_RD, y_RD] = [clean, corrupted].map((run) => own(laterRows(run.site(at), batch, first))) as [
          Tensor,
          Tensor,
        ];
        const { error_RD } = await nodeChanges(must(sae, `the SAE of ${hook}`), x_RD, y_RD);
        const delta_RD = padRows(own(error_RD), batch, first);
        return { delta_RD, magnitudes: must((await magnitudes(delta_RD, 1))[0], "magnitudes") };
      }),
    ));
  errorDeltas.set(hook, computed);
  return computed;
}

/** Changes of the given features: no other feature is encoded. Owner: caller. */
export async function featureChanges(
  spliced: SplicedModel,
  { clean, corrupted, first }: UnpatchedRuns,
  at: SaeSiteAt,
  features: readonly number[],
): Promise<FeatureChanges> {
  const { batch, T } = clean.frame;
  return await spliced.withSae(at, async (given) => {
    const sae = must(given, `the SAE of ${siteHook(at)}`);
    const change_NR = tf.tidy(() => {
      const index = tf.tensor1d([...features], "int32");
      const [f_RN, g_RN] = [clean, corrupted].map((run) =>
        encodeSome(sae, index, laterRows(run.site(at), batch, first)),
      ) as [Tensor, Tensor];
      return tf.transpose(tf.sub(g_RN, f_RN));
    });
    const values = await readAndDispose(change_NR);
    const later = batch * (T - first);
    const changes = new Map<number, Float32Array>();
    for (const [n, feature] of features.entries()) {
      const byRow = new Float32Array(batch * T);
      for (let r = 0; r < later; r++) byRow[wholeRow(r, T, first)] = must(values[n * later + r], "change");
      changes.set(feature, byRow);
    }
    const decoder_ND = tf.tidy(() => tf.gather(sae.W_dec_FD, tf.tensor1d([...features], "int32")));
    return { changes, decoder_ND, rowOf: new Map(features.map((feature, row) => [feature, row])) };
  });
}

/** Largest magnitude by row of each of `parts` equal parts of the columns. */
export async function magnitudes(delta_RD: Tensor, parts: number): Promise<Float32Array[]> {
  const [rows = 0, D = 0] = delta_RD.shape;
  const largest = await readAndDispose(
    tf.tidy(() => tf.transpose(tf.max(tf.abs(tf.reshape(delta_RD, [rows, parts, D / parts])), 2))),
  );
  return Array.from({ length: parts }, (_, part) => largest.subarray(part * rows, (part + 1) * rows));
}
