/** @file What joint patches give for one block of prompts (P) and sets (S), and its payload. */
import { flat, float64 } from "../../artifacts/payload-arrays.js";
import { decodeSafetensors, encodeSafetensors } from "../../weights/safetensors.js";

/** Metrics of joint patches. */
export interface JointResult {
  /** `[P]`. */
  readonly metricClean: Float64Array;
  /** `[P]`; NaN for a plain dataset. */
  readonly metricCorrupted: Float64Array;
  /** `[S, P]`. */
  readonly metricPatched: Float64Array;
}

/** Encodes {@link JointResult}. */
export function encodeJointResult({ metricClean, metricCorrupted, metricPatched }: JointResult): Uint8Array {
  return encodeSafetensors(
    new Map([
      ["metric_clean", flat(metricClean)],
      ["metric_corrupted", flat(metricCorrupted)],
      ["metric_patched", flat(metricPatched)],
    ]),
  );
}

/** Decodes what {@link encodeJointResult} wrote. */
export function decodeJointResult(payload: Uint8Array): JointResult {
  const { arrays } = decodeSafetensors(payload);
  return {
    metricClean: float64(arrays, "metric_clean"),
    metricCorrupted: float64(arrays, "metric_corrupted"),
    metricPatched: float64(arrays, "metric_patched"),
  };
}
