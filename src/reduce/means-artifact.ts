/** @file `means.safetensors`: mean activations per position over clean and corrupted prompts. Source: REFERENCE 5. */
import { must } from "../base/assert.js";
import { isPaired } from "../nodes/prompt.js";
import type { NodeKind } from "../nodes/kinds.js";
import { nodeHook, parseNodeHook } from "../nodes/node.js";
import { siteHook } from "../nodes/site.js";
import type { Means } from "../attribution/circuit-site-work.js";
import type { Artifacts, ReadArtifact } from "../plan/artifacts.js";
import type { NamedArray } from "../weights/named-array.js";
import { decodeSafetensors, encodeSafetensors } from "../weights/safetensors.js";
import { artifactMetadata, type Provenance } from "./artifact-metadata.js";
import { decodeMeans } from "./payload.js";
import { countPositions, lengthOf, longestLength } from "./position-counts.js";
import { forEachRecord, type RecordSource } from "./stage-records.js";

const NAME = "means.safetensors";

/** Sums the `means` stage in float64 and writes the means as float32. */
export async function writeMeans(source: RecordSource, provenance: Provenance, artifacts: Artifacts): Promise<void> {
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
    { sign: "none: activations", direction: "none: unablated runs" },
  );
  artifacts.write(NAME, encodeSafetensors(arrays, metadata));
}

/** Reads what {@link writeMeans} wrote, keyed by site hook. */
export async function readMeans(read: ReadArtifact): Promise<Means> {
  const { arrays } = decodeSafetensors(await read(NAME), { file: NAME });
  const pick = (kind: NodeKind): Map<string, Float32Array> =>
    new Map(
      [...arrays].flatMap(([key, { values }]) => {
        const at = parseNodeHook(key);
        return at?.kind === kind ? [[siteHook(at), values as Float32Array]] : [];
      }),
    );
  return { features: pick("feature"), errors: pick("error"), sites: pick("site") };
}

function divide(sums: Float64Array, width: number, counts: Float64Array, sides: number): Float32Array {
  return Float32Array.from(sums, (sum, i) => sum / ((counts[Math.floor(i / width)] as number) * sides));
}
