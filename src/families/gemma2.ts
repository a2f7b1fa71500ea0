/**
 * @file Gemma 2, and what Gemma 3 has of it.
 *
 * 1. Before layer 0 the residual stream is the embedding row times sqrt(D), rounded to float32.
 * 2. A layer is norm, attention, norm, add; norm, gated MLP, norm, add. Norms are RMS norms with the gain `1 + w`.
 * 3. Every layer rotates queries and keys alike. Layers 0, 2, ... see a sliding window, layers 1, 3, ... everything.
 * 4. Attention scores and logits are soft-capped. The unembedding is the embedding.
 *
 * Source: Gemma 2 technical report, arXiv 2408.00118, table 1.
 */
import { z } from "zod";
import { must } from "../base/assert.js";
import { badInput } from "../base/errors.js";
import { readJsonFile } from "../base/read-file.js";
import { MAX_LAYERS, positive, size, tokenId } from "./config-fields.js";
import {
  ropeOf,
  type LayerParts,
  type LayerType,
  type ModelConfig,
  type ModelFamily,
  type ModelTensors,
  type StoredTensor,
} from "./family.js";

const gelu = z.literal("gelu_pytorch_tanh").nullish();

/** Fields of every Gemma's config.json, as Hugging Face writes it. */
export const gemmaFields = {
  num_hidden_layers: size.max(MAX_LAYERS),
  hidden_size: size,
  intermediate_size: size,
  layer_types: z.array(z.enum(["sliding_attention", "full_attention"])).nullish(),
  hidden_activation: gelu,
  hidden_act: gelu,
  attention_bias: z.literal(false).optional(),
  use_bidirectional_attention: z.literal(false).nullish(),
  tie_word_embeddings: z.literal(true).optional(),
};

const schema = z.looseObject({
  ...gemmaFields,
  num_attention_heads: size,
  num_key_value_heads: size,
  head_dim: size,
  vocab_size: size,
  query_pre_attn_scalar: positive,
  rms_norm_eps: positive,
  rope_theta: positive.optional(),
  rope_parameters: z.looseObject({ rope_theta: positive, rope_type: z.literal("default").optional() }).nullish(),
  rope_scaling: z.null().optional(),
  sliding_window: size,
  attn_logit_softcapping: positive.nullable(),
  final_logit_softcapping: positive.nullable(),
  max_position_embeddings: size,
  bos_token_id: tokenId,
  pad_token_id: tokenId,
  eos_token_id: z.union([tokenId, z.array(tokenId).min(1)]),
});

/** What a Gemma's config decides; the rest is the same in all of them. */
export type GemmaOptions = Omit<
  ModelConfig,
  "family" | "embeddingFactor" | "norm" | "postNorms" | "queryKeyNorm" | "positions" | "mlp"
> & { readonly rmsEps: number };

/** What all Gemmas' layers have in common. */
export function gemmaRules({ rmsEps, ...options }: GemmaOptions) {
  return {
    ...options,
    embeddingFactor: Math.fround(Math.sqrt(options.dModel)),
    norm: { kind: "rms", eps: rmsEps, offset: 1 },
    postNorms: true,
    mlp: { kind: "gated", activation: "gelu_tanh" },
  } as const;
}

/** The config of a Gemma 2 of these sizes, whose rope has the base `theta`. */
export function gemma2Config(options: GemmaOptions, theta: number): ModelConfig {
  const positions = { kind: "rope", rope: { theta, factor: 1 } } as const;
  return { family: GEMMA2, ...gemmaRules(options), queryKeyNorm: false, positions };
}

function readConfig(file: string): ModelConfig {
  const raw = readJsonFile(file, schema);
  const theta = raw.rope_theta ?? raw.rope_parameters?.rope_theta;
  if (theta === undefined) throw badInput("expected a number, got nothing", { file, field: "rope_theta" });
  const newer = raw.rope_parameters?.rope_theta ?? theta;
  if (newer !== theta)
    throw badInput(
      `expected the rope_theta of rope_parameters, ${String(newer)}, got ${String(theta)}; keep one of them`,
      { file, field: "rope_theta" },
    );
  return checkedGemma(gemma2Config(gemmaOptions(raw, 2), theta), file);
}

/** What every Gemma's config.json says, once it is checked and its defaults are filled in. */
type RawOptions = Readonly<
  Record<
    | "num_hidden_layers"
    | "hidden_size"
    | "num_attention_heads"
    | "num_key_value_heads"
    | "head_dim"
    | "intermediate_size"
    | "vocab_size"
    | "query_pre_attn_scalar"
    | "rms_norm_eps"
    | "sliding_window"
    | "max_position_embeddings"
    | "bos_token_id"
    | "pad_token_id",
    number
  >
> & {
  readonly layer_types?: readonly ("sliding_attention" | "full_attention")[] | null | undefined;
  readonly attn_logit_softcapping?: number | null | undefined;
  readonly final_logit_softcapping?: number | null | undefined;
  readonly eos_token_id: number | readonly number[];
};

/** Options as config.json spells them. Without `layer_types`, every `globalEvery`-th layer attends to all positions. */
export function gemmaOptions(raw: RawOptions, globalEvery: number): GemmaOptions {
  return {
    nLayers: raw.num_hidden_layers,
    dModel: raw.hidden_size,
    nHeads: raw.num_attention_heads,
    nKvHeads: raw.num_key_value_heads,
    headDim: raw.head_dim,
    dMlp: raw.intermediate_size,
    vocabSize: raw.vocab_size,
    queryPreAttnScalar: raw.query_pre_attn_scalar,
    rmsEps: raw.rms_norm_eps,
    slidingWindow: raw.sliding_window,
    layerTypes:
      raw.layer_types?.map((name) => (name === "sliding_attention" ? "sliding" : "full")) ??
      everyNthFull(raw.num_hidden_layers, globalEvery),
    attnSoftcap: raw.attn_logit_softcapping ?? null,
    finalSoftcap: raw.final_logit_softcapping ?? null,
    maxPositions: raw.max_position_embeddings,
    bosId: raw.bos_token_id,
    padId: raw.pad_token_id,
    eosId: typeof raw.eos_token_id === "number" ? raw.eos_token_id : must(raw.eos_token_id[0], "end token"),
  };
}

/** Layers n-1, 2n-1, ... attend to all positions. */
export function everyNthFull(nLayers: number, n: number): LayerType[] {
  return Array.from({ length: nLayers }, (_, layer) => ((layer + 1) % n === 0 ? "full" : "sliding"));
}

/** Passes a config whose fields fit together. @throws PatchbayError `bad_input`. */
export function checkedGemma(config: ModelConfig, file: string): ModelConfig {
  const { nHeads, nKvHeads, headDim, nLayers, layerTypes } = config;
  const refuse = (field: string, expected: string, got: number): Error =>
    badInput(`expected ${expected}, got ${String(got)}`, { file, field });
  if (nHeads % nKvHeads !== 0)
    throw refuse("num_key_value_heads", `a divisor of num_attention_heads (${String(nHeads)})`, nKvHeads);
  if (headDim % 2 !== 0) throw refuse("head_dim", "an even number, as rotary embedding needs", headDim);
  if (layerTypes.length !== nLayers)
    throw refuse("layer_types", `one entry for each of ${String(nLayers)} layers`, layerTypes.length);
  return config;
}

/** Fields that transformers takes as floats alone; JSON from JavaScript writes a whole number without its point. */
const WHOLE_FLOATS = /^( *"(?:attn|final)_logit_softcapping": \d+)(,?)$/gm;

/**
 * A Gemma's config.json in Hugging Face's spelling.
 * @param architecture the class of transformers that runs it.
 * @param localRope what says how sliding layers rotate, where they rotate otherwise.
 */
export function gemmaConfigText(config: ModelConfig, architecture: string, localRope: object = {}): string {
  const fields = {
    architectures: [architecture],
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
    model_type: config.family.modelType,
    num_attention_heads: config.nHeads,
    num_hidden_layers: config.nLayers,
    num_key_value_heads: config.nKvHeads,
    pad_token_id: config.padId,
    query_pre_attn_scalar: config.queryPreAttnScalar,
    rms_norm_eps: config.norm.eps,
    ...localRope,
    rope_theta: ropeOf(config, "full").theta,
    sliding_window: config.slidingWindow,
    tie_word_embeddings: true,
    torch_dtype: "float32",
    use_cache: true,
    vocab_size: config.vocabSize,
  };
  return `${JSON.stringify(fields, null, 2).replace(WHOLE_FLOATS, "$1.0$2")}\n`;
}

/** What names of a Gemma's tensors begin with: its own, and those inside a larger model. */
export const GEMMA_PREFIXES = ["model.", "language_model.model.", "model.language_model."] as const;

/** Prompts begin with this token. */
export const GEMMA_BOS = "<bos>";

/** A Gemma's tensors by Hugging Face's names. */
export function gemmaTensors(config: ModelConfig): ModelTensors {
  const { nLayers, dModel, vocabSize } = config;
  return {
    embedding: { kind: "matrix", name: "model.embed_tokens.weight", shape: [vocabSize, dModel] },
    layers: Array.from({ length: nLayers }, (_, layer) => gemmaLayer(config, `model.layers.${String(layer)}.`)),
    finalGain: { kind: "gain", name: "model.norm.weight", shape: [dModel] },
  };
}

function gemmaLayer(config: ModelConfig, prefix: string): LayerParts<StoredTensor> {
  const { dModel: D, dMlp: M, nHeads, nKvHeads, headDim: H } = config;
  const [Z, J] = [nHeads * H, nKvHeads * H];
  const matrix = (part: string, outputs: number, inputs: number): StoredTensor => {
    return { kind: "matrix", name: `${prefix}${part}.weight`, shape: [outputs, inputs] };
  };
  const gain = (part: string, width: number): StoredTensor => {
    return { kind: "gain", name: `${prefix}${part}.weight`, shape: [width] };
  };
  return {
    inputGain_D: gain("input_layernorm", D),
    query_DZ: matrix("self_attn.q_proj", Z, D),
    key_DJ: matrix("self_attn.k_proj", J, D),
    value_DJ: matrix("self_attn.v_proj", J, D),
    output_ZD: matrix("self_attn.o_proj", D, Z),
    ...(config.queryKeyNorm && {
      queryGain_H: gain("self_attn.q_norm", H),
      keyGain_H: gain("self_attn.k_norm", H),
    }),
    postAttentionGain_D: gain("post_attention_layernorm", D),
    preMlpGain_D: gain("pre_feedforward_layernorm", D),
    gate_DM: matrix("mlp.gate_proj", M, D),
    up_DM: matrix("mlp.up_proj", M, D),
    down_MD: matrix("mlp.down_proj", D, M),
    postMlpGain_D: gain("post_feedforward_layernorm", D),
  };
}

/** Gemma 2. */
export const GEMMA2: ModelFamily = {
  title: "Gemma-2",
  brand: "Gemma",
  modelType: "gemma2",
  readers: new Map([["gemma2", readConfig]]),
  configText: (config) => gemmaConfigText(config, "Gemma2ForCausalLM"),
  tensors: gemmaTensors,
  prefixes: GEMMA_PREFIXES,
  bos: { kind: "in_front", token: GEMMA_BOS },
};
