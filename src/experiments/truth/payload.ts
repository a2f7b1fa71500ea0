/** @file What true patching gives for one block of prompts (P) and node slots (S), and its payload. */
import { must } from "../../base/assert.js";
import { flat, float64 } from "../../artifacts/payload-arrays.js";
import { decodeSafetensors, encodeSafetensors } from "../../weights/safetensors.js";

/** True patching: metrics of the patched runs. */
export interface TruthResult {
  /** `[P]`. */
  readonly metricClean: Float64Array;
  /** `[P]`; NaN for a plain dataset. */
  readonly metricCorrupted: Float64Array;
  /** `[P, S]`; equals `metricClean` where the row was not run. */
  readonly metricPatched: Float64Array;
  /**
   * `[P, S]`: 1 where a patched row was run; 0 where the delta is exactly zero, the slot empty or the position absent, and
   * in the last layer before the answer position, which such a patch cannot reach.
   */
  readonly ran: Uint8Array;
}

/** Encodes {@link TruthResult}. */
export function encodeTruth({ metricClean, metricCorrupted, metricPatched, ran }: TruthResult): Uint8Array {
  return encodeSafetensors(
    new Map([
      ["metric_clean", flat(metricClean)],
      ["metric_corrupted", flat(metricCorrupted)],
      ["metric_patched", flat(metricPatched)],
      ["ran", flat(ran)],
    ]),
  );
}

/** Decodes what {@link encodeTruth} wrote. */
export function decodeTruth(payload: Uint8Array): TruthResult {
  const { arrays } = decodeSafetensors(payload);
  const ran = must(arrays.get("ran"), "ran").values;
  if (!(ran instanceof Uint8Array)) throw new Error("bug: `ran` is not uint8");
  return {
    metricClean: float64(arrays, "metric_clean"),
    metricCorrupted: float64(arrays, "metric_corrupted"),
    metricPatched: float64(arrays, "metric_patched"),
    ran,
  };
}
