/** @file What circuit evaluation gives for one block of prompts (P) and evaluations (E), and its payload. */
import { flat, float64 } from "../../artifacts/payload-arrays.js";
import { decodeSafetensors, encodeSafetensors } from "../../weights/safetensors.js";

/** Circuit evaluation: metric `m` (not the evaluator's sign) of every evaluation. */
export interface CircuitsResult {
  /** `[E, sides, P]`, sides = clean, corrupted (clean alone for a plain dataset). */
  readonly metric: Float64Array;
}

/** Encodes {@link CircuitsResult}. */
export function encodeCircuits({ metric }: CircuitsResult): Uint8Array {
  return encodeSafetensors(new Map([["metric", flat(metric)]]));
}

/** Decodes what {@link encodeCircuits} wrote. */
export function decodeCircuits(payload: Uint8Array): CircuitsResult {
  return { metric: float64(decodeSafetensors(payload).arrays, "metric") };
}
