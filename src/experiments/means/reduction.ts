/** @file `means.safetensors`: mean activations per position over clean and corrupted prompts. Source: REFERENCE 5. */
import { must } from "../../base/assert.js";
import { isPaired } from "../../nodes/prompt.js";
import { nodeHook } from "../../nodes/node.js";
import { siteHook } from "../../nodes/site.js";
import type { NamedArray } from "../../weights/named-array.js";
import { encodeSafetensors } from "../../weights/safetensors.js";
import { artifactMetadata } from "../../artifacts/artifact-metadata.js";
import { countPositions, lengthOf, longestLength } from "../../artifacts/position-counts.js";
import { forEachRecord } from "../../artifacts/stage-records.js";
import { decodeMeans } from "../../artifacts/means-payload.js";
import { MEANS_FILE } from "../../artifacts/means-file.js";
import type { ReductionInputs } from "../../artifacts/reduction.js";
import type { StageTask } from "../../plan/plan.js";

/** Sums the `means` stage in float64 and writes the means as float32. */
export async function reduce(
  _task: StageTask,
  { source, provenance, artifacts }: ReductionInputs,
): Promise<readonly string[]> {
  const { plan } = source;
  const longest = longestLength(plan);
  const sums = plan.saes.map((sae) => ({
    sae,
    features: new Float64Array(longest * sae.dSae),
    errors: new Float64Array(longest * sae.dIn),
  }));
  const siteSums = new Map<string, Float64Array>();
  const prompts: number[] = [];
  await forEachRecord(source, "means", (shard, payload) => {
    const { features, errors, sites } = decodeMeans(payload);
    prompts.push(...shard.prompts);
    for (const { sae, features: featureSums, errors: errorSums } of sums) {
      const { index, sum } = must(features.get(siteHook(sae)), "feature sums");
      index.forEach((at, i) => (featureSums[at] = must(featureSums[at], "sum") + must(sum[i], "sum")));
      const error = must(errors.get(siteHook(sae)), "error sums");
      error.forEach((value, i) => (errorSums[i] = must(errorSums[i], "sum") + value));
    }
    const length = lengthOf(plan, must(shard.prompts[0], "first prompt"));
    for (const [hook, values] of sites) {
      const total = siteSums.get(hook) ?? new Float64Array((values.length / length) * longest);
      values.forEach((value, i) => (total[i] = must(total[i], "sum") + value));
      siteSums.set(hook, total);
    }
  });
  const sides = isPaired(plan.prompts) ? 2 : 1;
  const counts = countPositions(plan, prompts);
  const arrays = new Map<string, NamedArray>();
  for (const { sae, features, errors } of sums) {
    arrays.set(nodeHook(sae, "feature"), {
      shape: [longest, sae.dSae],
      values: divide(features, sae.dSae, counts, sides),
    });
    arrays.set(nodeHook(sae, "error"), { shape: [longest, sae.dIn], values: divide(errors, sae.dIn, counts, sides) });
  }
  for (const [hook, sum] of siteSums) {
    const width = sum.length / longest;
    arrays.set(hook, { shape: [longest, width], values: divide(sum, width, counts, sides) });
  }
  const metadata = artifactMetadata(
    provenance,
    "mean over clean and corrupted prompts that have the position, each weighted once",
    { sign: "none: activations", direction: "none: unablated runs", n: String(prompts.length) },
  );
  artifacts.write(MEANS_FILE, encodeSafetensors(arrays, metadata));
  return [];
}

function divide(sums: Float64Array, width: number, counts: Float64Array, sides: number): Float32Array {
  return Float32Array.from(sums, (sum, i) => sum / ((counts[Math.floor(i / width)] as number) * sides));
}
