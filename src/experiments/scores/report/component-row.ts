/** @file Rows of components.parquet. */
import type { ParquetRow } from "../../../artifacts/parquet.js";

/** One row of components.parquet. */
export interface ComponentRow {
  readonly hook: string;
  readonly position: number;
  readonly deltaNorm: number;
  readonly gradNorm: number;
  readonly cosine: number;
  readonly dot: number;
}

/** Reads one of them. */
export function toComponentRow(row: ParquetRow): ComponentRow {
  return {
    hook: String(row["hook"]),
    position: Number(row["position"]),
    deltaNorm: Number(row["delta_norm"]),
    gradNorm: Number(row["grad_norm"]),
    cosine: Number(row["cosine"]),
    dot: Number(row["dot"]),
  };
}
