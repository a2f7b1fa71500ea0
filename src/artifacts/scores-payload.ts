/**
 * @file What the program for scores gives for one block of prompts: plain typed arrays on the host, and their payload.
 *
 * Letters: P prompts of the block, T positions, F features of the site's SAE, D width of the site's activation,
 * H heads, S node slots, E evaluations. Maps are keyed by the site's hook (`blocks.3.hook_mlp_out`).
 */
import { type DenseKind, isDenseKind, NODE_KINDS, type NodeKind, type SparseKind } from "../nodes/kinds.js";
import type { NamedArray } from "../weights/named-array.js";
import { decodeSafetensors, encodeSafetensors } from "../weights/safetensors.js";
import { collect, flat, float32, int32 } from "./payload-arrays.js";

/**
 * Per-prompt scores of each kind of node. Feature scores are sparse: what is not listed is exactly 0. Error nodes and whole sites have
 * `[P, T]`, heads (of attn_z) `[P, T, H]`.
 */
export type NodeKindScores = {
  readonly [Kind in NodeKind]: ReadonlyMap<string, Kind extends SparseKind ? SparseRows : Float32Array>;
};

/** Per-prompt scores, and what AtP's are made of. */
export interface ScoresResult extends NodeKindScores {
  /** AtP components, keyed by error-node hook and, for plain resid_post, by site hook. */
  readonly components: ReadonlyMap<string, Components>;
}

/** A sparse row for each prompt: row p is `index/value[pointer[p] .. pointer[p + 1]]`; an index is `position * F + feature`. */
export interface SparseRows {
  readonly pointer: Int32Array;
  readonly index: Int32Array;
  readonly value: Float32Array;
}

/** Factors of an AtP score per prompt and position, each `[P, T]`: norms, cosine (0 where a norm is 0), dot product. */
export interface Components {
  readonly deltaNorm: Float32Array;
  readonly gradNorm: Float32Array;
  readonly cosine: Float32Array;
  readonly dot: Float32Array;
}

const COMPONENT_KEYS = ["deltaNorm", "gradNorm", "cosine", "dot"] as const satisfies readonly (keyof Components)[];

/** Encodes {@link ScoresResult}. Keys: `<site hook>/pointer|index|value` of features, `<site hook>/<other kind>`, `<hook>/<component>`. */
export function encodeScores({ components, ...scores }: ScoresResult): Uint8Array {
  const arrays = new Map<string, NamedArray>();
  for (const [hook, { pointer, index, value }] of scores.feature) {
    arrays.set(`${hook}/pointer`, flat(pointer)).set(`${hook}/index`, flat(index)).set(`${hook}/value`, flat(value));
  }
  for (const kind of NODE_KINDS.filter(isDenseKind))
    for (const [hook, values] of scores[kind]) arrays.set(`${hook}/${kind}`, flat(values));
  for (const [hook, parts] of components)
    for (const key of COMPONENT_KEYS) arrays.set(`${hook}/${key}`, flat(parts[key]));
  return encodeSafetensors(arrays);
}

/** Decodes what {@link encodeScores} wrote. */
export function decodeScores(payload: Uint8Array): ScoresResult {
  const { arrays } = decodeSafetensors(payload);
  const dense = {} as Record<DenseKind, ReadonlyMap<string, Float32Array>>;
  for (const kind of NODE_KINDS.filter(isDenseKind))
    dense[kind] = collect(arrays, `/${kind}`, (hook) => float32(arrays, `${hook}/${kind}`));
  return {
    ...dense,
    feature: collect(arrays, "/pointer", (hook) => ({
      pointer: int32(arrays, `${hook}/pointer`),
      index: int32(arrays, `${hook}/index`),
      value: float32(arrays, `${hook}/value`),
    })),
    components: collect(arrays, "/deltaNorm", (hook) => ({
      deltaNorm: float32(arrays, `${hook}/deltaNorm`),
      gradNorm: float32(arrays, `${hook}/gradNorm`),
      cosine: float32(arrays, `${hook}/cosine`),
      dot: float32(arrays, `${hook}/dot`),
    })),
  };
}
