/** @file The fit of one site, and its payload. */
import { must } from "../../base/assert.js";
import { flat, float32, float64 } from "../../artifacts/payload-arrays.js";
import type { FitArrays } from "../../sae/error-fit.js";
import { decodeSafetensors, encodeSafetensors } from "../../weights/safetensors.js";

/** A fit with how far it goes. */
export interface ErrorFitResult extends FitArrays {
  /** Rows that it is made of. */
  readonly rows: number;
  /** Share of the error's variance over these rows that it explains; NaN where the error does not vary. */
  readonly explained: number;
}

/** Encodes {@link ErrorFitResult}. */
export function encodeErrorFit({ A, b, rows, explained }: ErrorFitResult): Uint8Array {
  return encodeSafetensors(
    new Map([
      ["A", flat(A)],
      ["b", flat(b)],
      ["rows_explained", flat(Float64Array.of(rows, explained))],
    ]),
  );
}

/** Decodes what {@link encodeErrorFit} wrote. */
export function decodeErrorFit(payload: Uint8Array): ErrorFitResult {
  const { arrays } = decodeSafetensors(payload);
  const [rows, explained] = float64(arrays, "rows_explained");
  return {
    A: float32(arrays, "A"),
    b: float32(arrays, "b"),
    rows: must(rows, "rows"),
    explained: must(explained, "share"),
  };
}
