/**
 * @file Scores of spans: the sum of the scores of a span's tokens, which is gradient . (donor - clean) over all of them. Norms of components
 * are those of a span's rows taken as one vector. Sums are float64; a span of one token keeps that token's bits.
 */
import { must } from "../../base/assert.js";
import { isDenseKind, NODE_KINDS } from "../../nodes/kinds.js";
import type { Prompt } from "../../nodes/prompt.js";
import { positionCount, tokenPositions } from "../../nodes/span.js";
import type { Components, ScoresResult, SparseRows } from "../../artifacts/scores-payload.js";
import { componentsOf } from "./components.js";

/** Where the tokens of a block's prompts lie. */
interface Layout {
  readonly prompts: number;
  readonly spans: number;
  /** The span of each clean token, below 0 outside all, `[T]`. */
  readonly spanOf: Int32Array;
}

/**
 * Scores by span, of prompts whose tokens have the same positions; as they are where tokens are positions.
 * @param widthAt - features of the SAE at a site's hook.
 */
export function scoresBySpan(
  scores: ScoresResult,
  prompts: readonly Prompt[],
  widthAt: (hook: string) => number,
): ScoresResult {
  const first = must(prompts[0], "prompt");
  if (first.spans === undefined) return scores;
  const layout = { prompts: prompts.length, spans: positionCount(first), spanOf: tokenPositions(first, "clean") };
  const dense = NODE_KINDS.filter(isDenseKind).map((kind) => [
    kind,
    each(scores[kind], (values) => sums(values, layout)),
  ]);
  return {
    ...(Object.fromEntries(dense) as Omit<ScoresResult, "feature" | "components">),
    feature: each(scores.feature, (rows, hook) => sparseSums(rows, layout, widthAt(hook))),
    components: each(scores.components, (parts) => componentSums(parts, layout)),
  };
}

function each<Value, Made>(
  of: ReadonlyMap<string, Value>,
  make: (value: Value, key: string) => Made,
): Map<string, Made> {
  return new Map(Array.from(of, ([key, value]) => [key, make(value, key)]));
}

/** Sums over each span's tokens of `[P, T, W]`, as `[P, S, W]`. */
function sums(values: Float32Array, { prompts, spans, spanOf }: Layout): Float32Array {
  const [T, width] = [spanOf.length, values.length / (prompts * spanOf.length)];
  const total = new Float64Array(prompts * spans * width);
  // A plain loop: neurons are many.
  for (let i = 0; i < values.length; i++) {
    const row = Math.floor(i / width);
    const span = spanOf[row % T] as number;
    if (span < 0) continue;
    const at = (Math.floor(row / T) * spans + span) * width + (i % width);
    total[at] = (total[at] as number) + (values[i] as number);
  }
  return Float32Array.from(total);
}

/** The same of sparse rows; what sums to 0 is not listed. */
function sparseSums({ pointer, index, value }: SparseRows, { prompts, spanOf }: Layout, width: number): SparseRows {
  const rows = Array.from({ length: prompts }, (_, p) => {
    const total = new Map<number, number>();
    for (let i = pointer[p] as number; i < (pointer[p + 1] as number); i++) {
      const token = Math.floor((index[i] as number) / width);
      const span = spanOf[token] as number;
      if (span < 0) continue;
      const at = (index[i] as number) + (span - token) * width;
      total.set(at, (total.get(at) ?? 0) + (value[i] as number));
    }
    return [...total].filter(([, sum]) => sum !== 0).sort(([a], [b]) => a - b);
  });
  let end = 0;
  return {
    pointer: Int32Array.from([0, ...rows.map((row) => (end += row.length))]),
    index: Int32Array.from(rows.flatMap((row) => row.map(([at]) => at))),
    value: Float32Array.from(rows.flatMap((row) => row.map(([, sum]) => sum))),
  };
}

function componentSums({ deltaNorm, gradNorm, dot }: Components, layout: Layout): Components {
  const norm = (rows: Float32Array): Float32Array => spanNorms(rows, layout);
  return componentsOf({ deltaNorm: norm(deltaNorm), gradNorm: norm(gradNorm), dot: sums(dot, layout) });
}

/** The norm of each span's rows as one vector, from the norms of its rows, `[P, S]`. */
function spanNorms(rows: Float32Array, { prompts, spans, spanOf }: Layout): Float32Array {
  const squares = new Float64Array(prompts * spans);
  rows.forEach((norm, i) => {
    const span = spanOf[i % spanOf.length] as number;
    const at = Math.floor(i / spanOf.length) * spans + span;
    if (span >= 0) squares[at] = must(squares[at], "sum") + norm * norm;
  });
  return Float32Array.from(squares, Math.sqrt);
}
