/**
 * @file What patched nodes take their values from: the prompt's corrupted run, the means at its positions, or 0. A change to the mean is the
 * change to 0 and the mean.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { type Means, readMeans } from "../../artifacts/means-file.js";
import { must } from "../../base/assert.js";
import { siteHook, type SaeSiteAt, type SiteAt } from "../../nodes/site.js";
import { valuesByToken } from "../../nodes/span.js";
import type { Run } from "../../passes/capture.js";
import type { TruthDonor } from "../../plan/node-list.js";
import type { ReadArtifact } from "../../run/artifacts.js";

/** A donor with its values, where these are no run's. */
export type DonorValues = { readonly kind: "corrupted" | "zero" } | { readonly kind: "mean"; readonly means: Means };

/** The donor of what names none. */
export const CORRUPTED: DonorValues = { kind: "corrupted" };

/** The donor of a stage; means are those of the run. */
export async function readDonor(kind: TruthDonor, artifact: ReadArtifact): Promise<DonorValues> {
  return kind === "mean" ? { kind, means: await readMeans(artifact) } : { kind };
}

/** The runs of a block of prompts, and what patched nodes take their values from. */
export interface DonorRuns {
  readonly clean: Run;
  /** Null where prompts have none. */
  readonly corrupted: Run | null;
  readonly donor: DonorValues;
  /** The position of each token of the clean prompts, below 0 outside every span, `[T]`. */
  readonly positionOf: Int32Array;
}

/** The corrupted run where it is the donor; null where another donor is. */
export function donorRun({ corrupted, donor }: DonorRuns): Run | null {
  return donor.kind === "corrupted" ? must(corrupted ?? undefined, "corrupted run") : null;
}

/** The donor's activation at a whole site, `[R, D]`; null where it is 0. Owner: caller. */
export function donorSite(runs: DonorRuns, at: SaeSiteAt): Tensor | null {
  const run = donorRun(runs);
  if (run !== null) return tf.clone(run.site(at));
  const width = must(runs.clean.site(at).shape[1], "width");
  return runs.donor.kind === "mean" ? meanRows(runs.donor.means.sites.get(siteHook(at)), runs, width) : null;
}

/** Makes changes to 0 those to the mean; with another donor they are as they were. @param states whose means. Owner: caller. */
export function towardsMean(change_RD: Tensor, runs: DonorRuns, states: keyof Means, at: SiteAt): Tensor {
  const { donor } = runs;
  if (donor.kind !== "mean") return tf.clone(change_RD);
  const width = must(change_RD.shape[1], "width");
  return tf.tidy(() => tf.add(change_RD, meanRows(donor.means[states].get(siteHook(at)), runs, width)));
}

/** Means of the positions of every prompt, 0 where a token has none, `[R, D]`. Owner: caller. */
function meanRows(means: Float32Array | undefined, { clean, positionOf }: DonorRuns, width: number): Tensor {
  const { batch, T } = clean.frame;
  const values = valuesByToken(must(means, "means"), positionOf, width);
  return tf.tidy(() => tf.tile(tf.tensor2d(values, [T, width]), [batch, 1]));
}
