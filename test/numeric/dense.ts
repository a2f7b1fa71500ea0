/** @file Block results as dense float64 arrays, and their plain means over prompts, for comparison with golden arrays. */
import { must } from "../../src/base/assert.js";
import { nodeHook, parseNodeHook } from "../../src/nodes/node.js";
import type { ScoresResult, SparseRows } from "../../src/artifacts/scores-payload.js";

/** One array of scores: prompts by nodes. */
export interface DenseScores {
  readonly prompts: number;
  readonly values: Float64Array;
}

/** Sparse rows as `[P, width]`. */
export function denseRows(rows: SparseRows, width: number): DenseScores {
  const prompts = rows.pointer.length - 1;
  const values = new Float64Array(prompts * width);
  for (let p = 0; p < prompts; p++)
    for (let i = must(rows.pointer[p], "start"); i < must(rows.pointer[p + 1], "end"); i++)
      values[p * width + must(rows.index[i], "index")] = must(rows.value[i], "value");
  return { prompts, values };
}

/** All SAE node scores by node hook, as in the golden files. */
export function denseScores(result: ScoresResult, T: number, F: number): Map<string, DenseScores> {
  const dense = new Map<string, DenseScores>();
  for (const [hook, rows] of result.feature)
    dense.set(nodeHook(must(parseNodeHook(hook), hook), "feature"), denseRows(rows, T * F));
  for (const [hook, values] of result.error)
    dense.set(nodeHook(must(parseNodeHook(hook), hook), "error"), {
      prompts: values.length / T,
      values: Float64Array.from(values),
    });
  return dense;
}

/** Mean over prompts of each node. */
export function meanOverPrompts({ prompts, values }: DenseScores): Float64Array {
  const width = values.length / prompts;
  return Float64Array.from({ length: width }, (_, i) => {
    let sum = 0;
    for (let p = 0; p < prompts; p++) sum += must(values[p * width + i], "value");
    return sum / prompts;
  });
}

/** Standard error over prompts of each node: sample standard deviation (ddof 1) / sqrt(n). */
export function semOverPrompts(scores: DenseScores): Float64Array {
  const { prompts, values } = scores;
  const width = values.length / prompts;
  return meanOverPrompts(scores).map((mean, i) => {
    let squares = 0;
    for (let p = 0; p < prompts; p++) squares += (must(values[p * width + i], "value") - mean) ** 2;
    return Math.sqrt(squares / (prompts - 1) / prompts);
  });
}
