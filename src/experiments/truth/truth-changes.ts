/** @file How a site's features, its error and the error's parts change from the clean run to the donor. Source: REFERENCE 4. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must, unreachable } from "../../base/assert.js";
import type { PartKind } from "../../nodes/kinds.js";
import { nodeHook } from "../../nodes/node.js";
import { siteHook, type SaeSiteAt } from "../../nodes/site.js";
import { readAndDispose } from "../../model/read-tensor.js";
import { withScope } from "../../model/tensor-scope.js";
import { linearChange } from "../../sae/error-fit.js";
import { encodeSome } from "../../sae/sae.js";
import type { Run } from "../../passes/capture.js";
import { laterRows, padRows, wholeRow } from "../../passes/later-positions.js";
import { nodeChanges } from "../../passes/site-scores.js";
import type { SplicedModel } from "../../passes/spliced-model.js";
import { donorRun, type DonorRuns, donorSite, towardsMean } from "./truth-donor.js";
import type { ErrorDelta, UnpatchedRuns } from "./unpatched-runs.js";

/** Changes of some features, and their decoder rows: the SAE itself need not stay on the device. */
export interface FeatureChanges {
  /** By flat row of the prompts. */
  readonly changes: ReadonlyMap<number, Float32Array>;
  readonly decoder_ND: Tensor;
  /** Row of each feature. */
  readonly rowOf: ReadonlyMap<number, number>;
}

/** How the site's error changes, encoded from the first position on that can differ. Owner: the runs, which keep it. */
export async function errorDelta(spliced: SplicedModel, runs: UnpatchedRuns, at: SaeSiteAt): Promise<ErrorDelta> {
  const hook = siteHook(at);
  const { clean, first, errorDeltas } = runs;
  const { batch } = clean.frame;
  const computed =
    errorDeltas.get(hook) ??
    (await spliced.withSae(at, async (sae) =>
      withScope(async (own) => {
        const later = (run: Run): Tensor => own(laterRows(run.site(at), batch, first));
        const donor = donorRun(runs);
        const y_RD = donor === null ? null : later(donor);
        const { error_RD } = await nodeChanges(must(sae, `the SAE of ${hook}`), later(clean), y_RD);
        const change_RD = own(towardsMean(own(error_RD), runs, "errors", at));
        return await withMagnitudes(padRows(change_RD, batch, first));
      }),
    ));
  errorDeltas.set(hook, computed);
  return computed;
}

/** How a part of the site's error changes: the linear one as the activation does, the other as what is left. Owner: the runs, which keep it. */
export async function partDelta(
  spliced: SplicedModel,
  runs: UnpatchedRuns,
  at: SaeSiteAt,
  kind: PartKind,
): Promise<ErrorDelta> {
  const hook = nodeHook(at, kind);
  const computed = runs.errorDeltas.get(hook) ?? (await withMagnitudes(await computePart(spliced, runs, at, kind)));
  runs.errorDeltas.set(hook, computed);
  return computed;
}

async function computePart(spliced: SplicedModel, runs: UnpatchedRuns, at: SaeSiteAt, kind: PartKind): Promise<Tensor> {
  const { clean, first } = runs;
  const { batch } = clean.frame;
  switch (kind) {
    case "error_linear":
      return await must(spliced.errorFits, "fits of errors").withFit(at, (fit) => {
        const change = (): Tensor => {
          const donor_RD = donorSite(runs, at);
          const [x_RD, y_RD] = [clean.site(at), donor_RD].map((rows) =>
            rows === null ? null : laterRows(rows, batch, first),
          );
          return padRows(linearChange(fit, must(x_RD ?? undefined, "clean rows"), y_RD ?? null), batch, first);
        };
        return Promise.resolve(tf.tidy(change));
      });
    case "error_nonlinear": {
      const [whole, linear] = [await errorDelta(spliced, runs, at), await partDelta(spliced, runs, at, "error_linear")];
      return tf.sub(whole.delta_RD, linear.delta_RD);
    }
    default:
      return unreachable(kind);
  }
}

/** Takes over the tensor. */
async function withMagnitudes(delta_RD: Tensor): Promise<ErrorDelta> {
  return { delta_RD, magnitudes: must((await magnitudes(delta_RD, 1))[0], "magnitudes") };
}

/** Changes of the given features: no other feature is encoded. Owner: caller. */
export async function featureChanges(
  spliced: SplicedModel,
  runs: UnpatchedRuns,
  at: SaeSiteAt,
  features: readonly number[],
): Promise<FeatureChanges> {
  const { clean, donor, first } = runs;
  const { batch, T } = clean.frame;
  const means = donor.kind === "mean" ? must(donor.means.features.get(siteHook(at)), "means of features") : null;
  return await spliced.withSae(at, async (given) => {
    const sae = must(given, `the SAE of ${siteHook(at)}`);
    const change_NR = tf.tidy(() => {
      const index = tf.tensor1d([...features], "int32");
      const encoded = (run: Run): Tensor => encodeSome(sae, index, laterRows(run.site(at), batch, first));
      const [f_RN, other] = [encoded(clean), donorRun(runs)];
      return tf.transpose(other === null ? tf.neg(f_RN) : tf.sub(encoded(other), f_RN));
    });
    const values = await readAndDispose(change_NR);
    const later = batch * (T - first);
    const changes = new Map<number, Float32Array>();
    for (const [n, feature] of features.entries()) {
      const byRow = new Float32Array(batch * T);
      for (let r = 0; r < later; r++) byRow[wholeRow(r, T, first)] = must(values[n * later + r], "change");
      if (means !== null) addMeans(byRow, runs, (position) => must(means[position * sae.dSae + feature], "mean"));
      changes.set(feature, byRow);
    }
    const decoder_ND = tf.tidy(() => tf.gather(sae.W_dec_FD, tf.tensor1d([...features], "int32")));
    return { changes, decoder_ND, rowOf: new Map(features.map((feature, row) => [feature, row])) };
  });
}

/** Adds a mean of each position to the rows of whole prompts; nothing where a token has none. */
export function addMeans(
  byRow: Float32Array,
  { positionOf }: Pick<DonorRuns, "positionOf">,
  meanAt: (position: number) => number,
): void {
  for (let row = 0; row < byRow.length; row++) {
    const position = must(positionOf[row % positionOf.length], "position");
    if (position >= 0) byRow[row] = must(byRow[row], "change") + meanAt(position);
  }
}

/** Largest magnitude by row of each of `parts` equal parts of the columns. */
export async function magnitudes(delta_RD: Tensor, parts: number): Promise<Float32Array[]> {
  const [rows = 0, D = 0] = delta_RD.shape;
  const largest = await readAndDispose(
    tf.tidy(() => tf.transpose(tf.max(tf.abs(tf.reshape(delta_RD, [rows, parts, D / parts])), 2))),
  );
  return Array.from({ length: parts }, (_, part) => largest.subarray(part * rows, (part + 1) * rows));
}
