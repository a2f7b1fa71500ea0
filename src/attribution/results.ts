/**
 * @file What each engine program returns for one block of prompts: plain typed arrays on the host, no tensors.
 *
 * Letters: P prompts of the block, T positions, F features of the site's SAE, D width of the site's activation,
 * H heads, S node slots, E evaluations. Maps are keyed by the site's hook (`blocks.3.hook_mlp_out`).
 */
import type { NodeKind, SparseKind } from "../nodes/kinds.js";

/** Sums over the block's runs (clean and corrupted, each prompt weighted once), for mean activations. */
export interface MeansResult {
  /** `m` of the clean run, `[P]`. */
  readonly metricClean: Float64Array;
  /** `m` of the corrupted run, `[P]`; null for a plain dataset. */
  readonly metricCorrupted: Float64Array | null;
  readonly features: ReadonlyMap<string, FeatureSums>;
  /** Sum of error activations, float64 `[T, D]`. */
  readonly errors: ReadonlyMap<string, Float64Array>;
  /** Without SAEs, the sum of each site's activations, float64 `[T, D]`. */
  readonly sites: ReadonlyMap<string, Float64Array>;
}

/** Sparse sums over the block at one site. An index is `position * F + feature`, ascending. */
export interface FeatureSums {
  readonly index: Int32Array;
  readonly sum: Float64Array;
  /** Indexes whose activation differs between clean and corrupted in at least one prompt; empty for a plain dataset. */
  readonly differs: Int32Array;
}

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

/** True patching: metrics of the patched runs. */
export interface TruthResult {
  /** `[P]`. */
  readonly metricClean: Float64Array;
  /** `[P]`. */
  readonly metricCorrupted: Float64Array;
  /** `[P, S]`; equals `metricClean` where the row was not run. */
  readonly metricPatched: Float64Array;
  /**
   * `[P, S]`: 1 where a patched row was run; 0 where the delta is exactly zero, the slot empty or the position absent, and
   * in the last layer before the answer position, which such a patch cannot reach.
   */
  readonly ran: Uint8Array;
}

/** Circuit evaluation: metric `m` (not the evaluator's sign) of every evaluation. */
export interface CircuitsResult {
  /** `[E, sides, P]`, sides = clean, corrupted (clean alone for a plain dataset). */
  readonly metric: Float64Array;
}
