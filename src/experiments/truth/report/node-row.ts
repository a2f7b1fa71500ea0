/** @file Rows of validation.parquet. */
import type { Node } from "../../../nodes/node.js";
import { nodeOfRow } from "../../../nodes/node-columns.js";
import type { ParquetRow } from "../../../artifacts/parquet.js";

/** One row of validation.parquet. */
export type NodeRow = Node & {
  readonly hook: string;
  readonly n: number;
  readonly effect: number;
  readonly effectSem: number;
  readonly normalised: number;
  readonly stratum: string;
  readonly inclusionProbability: number;
  readonly scores: ReadonlyMap<string, { readonly mean: number; readonly sem: number }>;
};

/** Reads one of them. */
export function toNodeRow(row: ParquetRow, scoreNames: readonly string[]): NodeRow {
  return {
    ...nodeOfRow(row),
    hook: String(row["hook"]),
    n: Number(row["n"]),
    effect: Number(row["effect"]),
    effectSem: Number(row["effect_sem"]),
    normalised: Number(row["normalised"]),
    stratum: String(row["stratum"]),
    inclusionProbability: Number(row["inclusion_probability"]),
    scores: new Map(
      scoreNames
        .filter((name) => name in row)
        .map((name) => [name, { mean: Number(row[name]), sem: Number(row[`${name}_sem`]) }]),
    ),
  };
}
