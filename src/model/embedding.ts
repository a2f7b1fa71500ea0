/** @file Token embedding: rows are gathered on the host, so the matrix never goes to the device. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../base/assert.js";
import { tensorsOf, type ModelConfig } from "../families/family.js";
import type { Checkpoint } from "../weights/checkpoint.js";

/** The tied embedding matrix, read row by row. */
export interface EmbeddingTable {
  /** Rows of the given tokens, unscaled, `[ids.length, D]`. */
  rows(ids: ArrayLike<number>): Promise<Float32Array>;
}

/** A table over the checkpoint's file that keeps each row it has read (as many as the run has distinct tokens). */
export function checkpointEmbedding(checkpoint: Pick<Checkpoint, "readRows" | "config">): EmbeddingTable {
  const D = checkpoint.config.dModel;
  const { name } = tensorsOf(checkpoint.config).embedding;
  const cache = new Map<number, Float32Array>();
  return {
    rows: async (ids) => {
      const missing = [...new Set(Array.from(ids))].filter((id) => !cache.has(id));
      if (missing.length > 0) {
        const read = await checkpoint.readRows(name, missing);
        for (const [i, id] of missing.entries()) cache.set(id, read.slice(i * D, (i + 1) * D));
      }
      const rows = new Float32Array(ids.length * D);
      for (let i = 0; i < ids.length; i++) rows.set(must(cache.get(Number(ids[i])), "embedding row"), i * D);
      return rows;
    },
  };
}

/**
 * `E[token] * factor`, the residual stream before layer 0. Source: REFERENCE 1.
 *
 * @param ids token ids, flat rows.
 * @returns `[R, D]`. Owner: caller.
 */
export async function embedTokens(
  table: EmbeddingTable,
  ids: ArrayLike<number>,
  { dModel, embeddingFactor: factor }: Pick<ModelConfig, "dModel" | "embeddingFactor">,
): Promise<Tensor> {
  const rows = await table.rows(ids);
  for (let i = 0; i < rows.length; i++) rows[i] = must(rows[i], "value") * factor;
  return tf.tensor2d(rows, [ids.length, dModel]);
}
