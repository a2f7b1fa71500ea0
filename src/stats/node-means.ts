/** @file Means of nodes over prompts with standard errors by clusters, for all nodes of a matrix at once. */
import type { Clusters, PromptMatrix } from "./clusters.js";

/** By node, `[N]` each. */
export interface NodeMeansOverPrompts {
  /** Prompts that have the node. */
  readonly n: Int32Array;
  /** NaN where no prompt has it. */
  readonly mean: Float64Array;
}

/**
 * Mean of each node over the prompts that have it, added up in prompt order.
 * @param of - what to take of a value on a prompt; the value itself where nothing is said.
 */
export function meansOverPrompts(
  { prompts, nodes, values, present }: PromptMatrix,
  of: (value: number, p: number) => number = (value) => value,
): NodeMeansOverPrompts {
  const [n, sums] = [new Int32Array(nodes), new Float64Array(nodes)];
  for (let p = 0, at = 0; p < prompts; p++) {
    for (let node = 0; node < nodes; node++, at++) {
      if (present?.[at] === 0) continue;
      n[node] = (n[node] as number) + 1;
      sums[node] = (sums[node] as number) + of(values[at] as number, p);
    }
  }
  return { n, mean: sums.map((sum, node) => sum / (n[node] as number)) };
}

/**
 * Standard error of each mean by clusters, as {@link clusterMean} has it, `[N]`. The clusters' squares are added in the order of their
 * first prompts that have the node.
 */
export function standardErrors(
  matrix: PromptMatrix,
  { n, mean }: NodeMeansOverPrompts,
  clusters: Clusters,
): Float64Array {
  const { prompts, nodes, values, present } = matrix;
  const deviations = new Float64Array(clusters.count * nodes);
  for (let p = 0, at = 0; p < prompts; p++) {
    for (let node = 0, to = (clusters.of[p] as number) * nodes; node < nodes; node++, at++, to++)
      if (present?.[at] !== 0)
        deviations[to] = (deviations[to] as number) + ((values[at] as number) - (mean[node] as number));
  }
  const [squares, count] = [new Float64Array(nodes), new Int32Array(nodes)];
  const seen = new Uint8Array(deviations.length);
  for (let p = 0, at = 0; p < prompts; p++) {
    for (let node = 0, of = (clusters.of[p] as number) * nodes; node < nodes; node++, at++, of++) {
      if (present?.[at] === 0 || seen[of] === 1) continue;
      seen[of] = 1;
      const one = deviations[of] as number;
      squares[node] = (squares[node] as number) + one * one;
      count[node] = (count[node] as number) + 1;
    }
  }
  return squares.map((sum, node) => {
    const c = count[node] as number;
    return c < 2 ? Number.NaN : Math.sqrt((c / (c - 1)) * sum) / (n[node] as number);
  });
}
