/** @file Sizes of the tiny model: every Gemma-2 feature is present, and no two sizes coincide that code might confuse. */
import type { ModelConfig } from "../../src/families/family.js";
import { gemma2Config } from "../../src/families/gemma2.js";
import { MAX_POSITIONS, TOKEN_IDS } from "./tokenizer-files.js";

const ROPE_THETA = 10_000;

/**
 * The tiny Gemma-2: grouped-query attention, heads x head_dim unlike d_model, query_pre_attn_scalar unlike head_dim, a
 * sliding window shorter than the prompts (a relative clause's subject is out of its reach), soft-caps that bite.
 */
export function tinyConfig(vocabSize: number): ModelConfig {
  const options = {
    nLayers: 4,
    dModel: 96,
    nHeads: 4,
    nKvHeads: 2,
    headDim: 16,
    dMlp: 256,
    vocabSize,
    queryPreAttnScalar: 24,
    rmsEps: 1e-6,
    slidingWindow: 4,
    layerTypes: ["sliding", "full", "sliding", "full"] as const,
    attnSoftcap: 8,
    finalSoftcap: 15,
    maxPositions: MAX_POSITIONS,
    bosId: TOKEN_IDS.bos,
    padId: TOKEN_IDS.pad,
    eosId: TOKEN_IDS.eos,
  };
  return gemma2Config(options, ROPE_THETA);
}
