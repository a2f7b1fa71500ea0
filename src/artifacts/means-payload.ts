/**
 * @file What the program for means gives for one block of prompts: plain typed arrays on the host, and their payload.
 *
 * Letters: P prompts of the block, T positions, F features of the site's SAE, D width of the site's activation,
 * H heads, S node slots, E evaluations. Maps are keyed by the site's hook (`blocks.3.hook_mlp_out`).
 */
import { decodeSafetensors, encodeSafetensors } from "../weights/safetensors.js";
import { collect, flat, float64, int32 } from "./payload-arrays.js";

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

/** Encodes {@link MeansResult}. Keys: `metric_clean`, `<site hook>/index|sum|differs`, `<site hook>/error`, `<site hook>/site`. */
export function encodeMeans({ metricClean, metricCorrupted, features, errors, sites }: MeansResult): Uint8Array {
  const arrays = new Map([["metric_clean", flat(metricClean)]]);
  if (metricCorrupted !== null) arrays.set("metric_corrupted", flat(metricCorrupted));
  for (const [hook, { index, sum, differs }] of features) {
    arrays.set(`${hook}/index`, flat(index)).set(`${hook}/sum`, flat(sum)).set(`${hook}/differs`, flat(differs));
  }
  for (const [hook, sum] of errors) arrays.set(`${hook}/error`, flat(sum));
  for (const [hook, sum] of sites) arrays.set(`${hook}/site`, flat(sum));
  return encodeSafetensors(arrays);
}

/** Decodes what {@link encodeMeans} wrote. */
export function decodeMeans(payload: Uint8Array): MeansResult {
  const { arrays } = decodeSafetensors(payload);
  const corrupted = arrays.get("metric_corrupted");
  return {
    metricClean: float64(arrays, "metric_clean"),
    metricCorrupted: corrupted === undefined ? null : float64(arrays, "metric_corrupted"),
    features: collect(arrays, "/index", (hook) => ({
      index: int32(arrays, `${hook}/index`),
      sum: float64(arrays, `${hook}/sum`),
      differs: int32(arrays, `${hook}/differs`),
    })),
    errors: collect(arrays, "/error", (hook) => float64(arrays, `${hook}/error`)),
    sites: collect(arrays, "/site", (hook) => float64(arrays, `${hook}/site`)),
  };
}
