/** @file Attention of made-up numbers, in any shape. */
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { attentionCore, attentionMask } from "../../src/model/attention.js";
import type { BackwardRules } from "../../src/model/backward-rules.js";
import type { ModelConfig } from "../../src/families/family.js";
import { readModelConfig } from "../../src/families/read-config.js";
import { TINY_A } from "./golden.js";

/** Prompts of S tokens, of which the last T ask. */
export interface AttentionCase {
  readonly batch: number;
  readonly T: number;
  readonly S: number;
  readonly heads: readonly [queries: number, keys: number];
  readonly headDim: number;
  readonly cap: number | null;
  /** Sliding; left out: full attention. */
  readonly window?: number;
}

/** Attention as a function of queries, keys and values, and some to give it. Owner of the tensors: the tidy around it. */
export function attentionCase(
  { batch, T, S, heads: [N, K], headDim: H, cap, window }: AttentionCase,
  rules: BackwardRules,
): { readonly core: (...inputs: Tensor[]) => Tensor; readonly inputs: Tensor[] } {
  const config: ModelConfig = {
    ...readModelConfig(join(TINY_A, "model")),
    nHeads: N,
    nKvHeads: K,
    headDim: H,
    attnSoftcap: cap,
    queryPreAttnScalar: H,
    slidingWindow: window ?? S,
  };
  const positions = Array.from({ length: T }, (_, t) => S - T + t);
  const mask = attentionMask(config, window === undefined ? "full" : "sliding", positions, S);
  const core = (...[q_RZ, k_UJ, v_UJ]: Tensor[]): Tensor =>
    attentionCore(config, { q_RZ: q_RZ as Tensor, k_UJ: k_UJ as Tensor, v_UJ: v_UJ as Tensor, batch }, mask, rules);
  return { core, inputs: [numbers(batch * T, N * H, 1), numbers(batch * S, K * H, 2), numbers(batch * S, K * H, 3)] };
}

function numbers(rows: number, width: number, seed: number): Tensor {
  const values = Float32Array.from({ length: rows * width }, (_, i) => 2 * Math.sin(seed + 1.7 * i + 0.01 * i * i));
  return tf.tensor2d(values, [rows, width]);
}
