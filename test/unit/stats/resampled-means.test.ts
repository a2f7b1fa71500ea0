import { expect, test } from "vitest";
import { createRng } from "../../../src/base/rng.js";
import { resampleClusters, timesOf } from "../../../src/stats/bootstrap.js";
import { clusterMean, clusterMeans, clustersOf, clusterSums, type PromptMatrix } from "../../../src/stats/clusters.js";
import { meansOverPrompts, standardErrors } from "../../../src/stats/node-means.js";
import { resampledMeans } from "../../../src/stats/resampled-means.js";

/** Values whose sums hang on the order of addition, on prompts of which some lack some nodes. */
function matrixOf(prompts: number, nodes: number, lacks: (p: number, n: number) => boolean): PromptMatrix {
  const rng = createRng(3, "matrix", prompts, nodes);
  const values = Float64Array.from({ length: prompts * nodes }, () => rng.normal() * 2 ** (40 * rng.uniform() - 20));
  const present = Uint8Array.from(values, (_, i) => (lacks(Math.floor(i / nodes), i % nodes) ? 0 : 1));
  return { prompts, nodes, values, present: present.includes(0) ? present : null };
}

const LACKING = {
  "no prompt lacks a node": () => false,
  "prompts lack nodes": (p: number, n: number) => (n % 3 === 0 && p % 4 === 0) || (n === 5 && p > 3),
};

for (const [title, lacks] of Object.entries(LACKING)) {
  test.each([
    [1, 1],
    [7, 6],
    [600, 9],
  ])(`means in resamples have the bits of means taken one by one: ${title}, %i prompts, %i nodes`, (prompts, nodes) => {
    const matrix = matrixOf(prompts, nodes, lacks);
    const clusters = clustersOf(Array.from({ length: prompts }, (_, p) => (p % 5 === 0 ? "shared" : undefined)));
    const sums = clusterSums(matrix, clusters);
    const resamples = resampleClusters(clusters, 13, 7);
    const means = resampledMeans(sums, resamples.times);
    expect(means).toHaveLength(resamples.count * nodes);
    for (let draw = 0; draw < resamples.count; draw++)
      expect(means.subarray(draw * nodes, (draw + 1) * nodes)).toEqual(clusterMeans(sums, timesOf(resamples, draw)));
  });

  test(`means over prompts and their errors have the bits of those taken node by node: ${title}`, () => {
    const matrix = matrixOf(40, 8, lacks);
    const clusters = clustersOf(Array.from({ length: 40 }, (_, p) => String(p % 7)));
    const means = meansOverPrompts(matrix);
    const errors = standardErrors(matrix, means, clusters);
    for (let node = 0; node < 8; node++) {
      const here = Array.from({ length: 40 }, (_, p) => p).filter((p) => matrix.present?.[p * 8 + node] !== 0);
      const found = clusterMean(
        here.map((p) => matrix.values[p * 8 + node] ?? NaN),
        here.map((p) => clusters.of[p] ?? NaN),
      );
      expect({ n: means.n[node], mean: means.mean[node], sem: errors[node] }).toEqual(found);
    }
  });
}
