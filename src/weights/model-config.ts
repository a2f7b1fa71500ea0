/** @file config.json of a Gemma-2 checkpoint: read, checked, and written back for checkpoints of our own. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { badInput } from "../base/errors.js";
import { readJsonFile } from "../base/read-file.js";

/** How a layer attends: to the latest `slidingWindow` positions, or to all. */
export type LayerType = "sliding" | "full";

/** Sizes and constants of a Gemma-2 model. Source: Gemma 2 technical report, arXiv 2408.00118, table 1. */
export interface ModelConfig {
  readonly nLayers: number;
  readonly dModel: number;
  readonly nHeads: number;
  readonly nKvHeads: number;
  readonly headDim: number;
  readonly dMlp: number;
  readonly vocabSize: number;
  /** Attention scores are divided by the square root of this. */
  readonly queryPreAttnScalar: number;
  readonly rmsEps: number;
  readonly ropeTheta: number;
  /** Tokens a sliding layer sees, the current one included. */
  readonly slidingWindow: number;
  readonly layerTypes: readonly LayerType[];
  readonly attnSoftcap: number;
  readonly finalSoftcap: number;
  readonly maxPositions: number;
  readonly bosId: number;
  readonly padId: number;
  readonly eosId: number;
}

const size = z
  .int()
  .min(1)
  .max(2 ** 31);
const tokenId = z.int().min(0);
const positive = z.number().positive();
const gelu = z.literal("gelu_pytorch_tanh").nullish();

const familySchema = z.looseObject({ model_type: z.string() });
const configSchema = z.looseObject({
  num_hidden_layers: size.max(1000),
  hidden_size: size,
  num_attention_heads: size,
  num_key_value_heads: size,
  head_dim: size,
  intermediate_size: size,
  vocab_size: size,
  query_pre_attn_scalar: positive,
  rms_norm_eps: positive,
  rope_theta: positive.optional(),
  rope_parameters: z.looseObject({ rope_theta: positive, rope_type: z.literal("default").optional() }).nullish(),
  rope_scaling: z.null().optional(),
  sliding_window: size,
  layer_types: z.array(z.enum(["sliding_attention", "full_attention"])).nullish(),
  attn_logit_softcapping: positive,
  final_logit_softcapping: positive,
  max_position_embeddings: size,
  bos_token_id: tokenId,
  pad_token_id: tokenId,
  eos_token_id: z.union([tokenId, z.array(tokenId).min(1)]),
  hidden_activation: gelu,
  hidden_act: gelu,
  attention_bias: z.literal(false).optional(),
  tie_word_embeddings: z.literal(true).optional(),
});

/**
 * Reads `config.json` of a checkpoint folder.
 * @throws PatchbayError `bad_input` when it is missing, not Gemma-2, or lacks a size.
 */
export function readModelConfig(folder: string): ModelConfig {
  const file = join(folder, "config.json");
  if (!existsSync(file)) {
    throw badInput("no such file; a model is a folder with config.json, *.safetensors and tokenizer.json", { file });
  }
  const { model_type: family } = readJsonFile(file, familySchema);
  if (family !== "gemma2") {
    throw badInput(`expected "gemma2", got "${family}"; only Gemma-2 checkpoints can be read`, {
      file,
      field: "model_type",
    });
  }
  const raw = readJsonFile(file, configSchema);
  const ropeTheta = raw.rope_theta ?? raw.rope_parameters?.rope_theta;
  if (ropeTheta === undefined) throw badInput("expected a number, got nothing", { file, field: "rope_theta" });
  const config: ModelConfig = {
    nLayers: raw.num_hidden_layers,
    dModel: raw.hidden_size,
    nHeads: raw.num_attention_heads,
    nKvHeads: raw.num_key_value_heads,
    headDim: raw.head_dim,
    dMlp: raw.intermediate_size,
    vocabSize: raw.vocab_size,
    queryPreAttnScalar: raw.query_pre_attn_scalar,
    rmsEps: raw.rms_norm_eps,
    ropeTheta,
    slidingWindow: raw.sliding_window,
    layerTypes: raw.layer_types?.map(layerType) ?? alternating(raw.num_hidden_layers),
    attnSoftcap: raw.attn_logit_softcapping,
    finalSoftcap: raw.final_logit_softcapping,
    maxPositions: raw.max_position_embeddings,
    bosId: raw.bos_token_id,
    padId: raw.pad_token_id,
    eosId: Array.isArray(raw.eos_token_id) ? (raw.eos_token_id[0] as number) : raw.eos_token_id,
  };
  checkConsistent(config, file);
  return config;
}

/** The same config in Hugging Face's spelling, ready for JSON. */
export function configJson(config: ModelConfig): Record<string, unknown> {
  return {
    architectures: ["Gemma2ForCausalLM"],
    attention_bias: false,
    attention_dropout: 0,
    attn_logit_softcapping: config.attnSoftcap,
    bos_token_id: config.bosId,
    eos_token_id: config.eosId,
    final_logit_softcapping: config.finalSoftcap,
    head_dim: config.headDim,
    hidden_act: "gelu_pytorch_tanh",
    hidden_activation: "gelu_pytorch_tanh",
    hidden_size: config.dModel,
    intermediate_size: config.dMlp,
    layer_types: config.layerTypes.map((type) => `${type}_attention`),
    max_position_embeddings: config.maxPositions,
    model_type: "gemma2",
    num_attention_heads: config.nHeads,
    num_hidden_layers: config.nLayers,
    num_key_value_heads: config.nKvHeads,
    pad_token_id: config.padId,
    query_pre_attn_scalar: config.queryPreAttnScalar,
    rms_norm_eps: config.rmsEps,
    rope_theta: config.ropeTheta,
    sliding_window: config.slidingWindow,
    tie_word_embeddings: true,
    torch_dtype: "float32",
    use_cache: true,
    vocab_size: config.vocabSize,
  };
}

function layerType(name: "sliding_attention" | "full_attention"): LayerType {
  return name === "sliding_attention" ? "sliding" : "full";
}

/** Layers 0, 2, 4, ... slide: what a Gemma-2 config without `layer_types` means. */
function alternating(nLayers: number): LayerType[] {
  return Array.from({ length: nLayers }, (_, layer) => (layer % 2 === 0 ? "sliding" : "full"));
}

function checkConsistent(config: ModelConfig, file: string): void {
  const { nHeads, nKvHeads, headDim, nLayers, layerTypes } = config;
  if (nHeads % nKvHeads !== 0) {
    throw badInput(`expected a divisor of num_attention_heads (${String(nHeads)}), got ${String(nKvHeads)}`, {
      file,
      field: "num_key_value_heads",
    });
  }
  if (headDim % 2 !== 0) {
    throw badInput(`expected an even number, as rotary embedding needs, got ${String(headDim)}`, {
      file,
      field: "head_dim",
    });
  }
  if (layerTypes.length !== nLayers) {
    throw badInput(`expected one entry for each of ${String(nLayers)} layers, got ${String(layerTypes.length)}`, {
      file,
      field: "layer_types",
    });
  }
}
