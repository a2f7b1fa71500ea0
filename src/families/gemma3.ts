/**
 * @file Gemma 3 text models, alone or inside a larger model. They are Gemma 2 with four changes:
 *
 * 1. Each head's query and key pass an RMS norm before they are rotated; scores have no soft-cap.
 * 2. Global layers rotate by another base than sliding ones, and may divide positions by a factor.
 * 3. Without `layer_types`, every sixth layer is global.
 * 4. Logits are soft-capped only where the config says so.
 *
 * Source: Gemma 3 technical report, arXiv 2503.19786, section 2; Hugging Face's Gemma3TextConfig; for GGUF files
 * github.com/ggml-org/llama.cpp, convert_hf_to_gguf.py (class Gemma3Model) and src/llama-model.cpp.
 */
import { z } from "zod";
import { checked, readJsonFile } from "../base/read-file.js";
import { MAX_LAYERS, positive, size, tokenId } from "./config-fields.js";
import {
  ropeOf,
  type GgufRules,
  type LayerType,
  type ModelConfig,
  type ModelFamily,
  type RopeOptions,
} from "./family.js";
import {
  checkedGemma,
  everyNthFull,
  GEMMA_BOS,
  GEMMA_PREFIXES,
  gemmaConfigText,
  gemmaFields,
  gemmaOptions,
  gemmaRules,
  gemmaTensors,
  type GemmaOptions,
} from "./gemma2.js";

/** Every n-th layer is global. */
const GLOBAL_EVERY = 6;

const UNSCALED = z.looseObject({ rope_type: z.literal("default") });
const LINEAR = z.looseObject({ rope_type: z.literal("linear"), factor: positive });
/** Positions of global layers may be divided by a factor; other kinds of scaling are refused. */
const scaling = z.preprocess(
  (value) =>
    typeof value === "object" && value !== null && "type" in value ? { rope_type: value.type, ...value } : value,
  z.discriminatedUnion("rope_type", [UNSCALED, LINEAR]).nullish(),
);
/** The newer spelling: base and scaling for each kind of layer. */
const layerRope = z.discriminatedUnion("rope_type", [
  UNSCALED.extend({ rope_theta: positive }),
  LINEAR.extend({ rope_theta: positive }),
]);

/**
 * config.json of a text checkpoint, or the `text_config` of a larger one. Published files leave out what equals the default
 * of Hugging Face's Gemma3TextConfig, so the defaults are part of the format.
 */
const schema = z.looseObject({
  ...gemmaFields,
  num_attention_heads: size.default(8),
  num_key_value_heads: size.default(4),
  head_dim: size.default(256),
  vocab_size: size.default(262_208),
  query_pre_attn_scalar: positive.default(256),
  rms_norm_eps: positive.default(1e-6),
  rope_theta: positive.default(1_000_000),
  rope_local_base_freq: positive.default(10_000),
  rope_scaling: scaling,
  rope_parameters: z.looseObject({ sliding_attention: layerRope, full_attention: layerRope }).nullish(),
  sliding_window: size.default(4096),
  sliding_window_pattern: size.default(GLOBAL_EVERY),
  attn_logit_softcapping: z.null().optional(), // Hugging Face ignores it here.
  final_logit_softcapping: positive.nullish(),
  max_position_embeddings: size.default(131_072),
  bos_token_id: tokenId.default(2),
  pad_token_id: tokenId.default(0),
  eos_token_id: z.union([tokenId, z.array(tokenId).min(1)]).default(1),
});
type Raw = z.infer<typeof schema>;

/** A checkpoint of a larger model whose language model is a Gemma 3 text model. */
const nestedSchema = z.looseObject({
  tie_word_embeddings: gemmaFields.tie_word_embeddings,
  text_config: schema.extend({ model_type: z.literal("gemma3_text").optional() }),
});

/** Rotary embeddings by type of layer. */
type Ropes = Readonly<Record<LayerType, RopeOptions>>;

function gemma3Config(options: GemmaOptions, ropes: Ropes): ModelConfig {
  const positions = { kind: "rope_by_layer_type", ropes } as const;
  return { family: GEMMA3, ...gemmaRules(options), queryKeyNorm: true, positions };
}

function configOf(raw: Raw, file: string): ModelConfig {
  return checkedGemma(gemma3Config(gemmaOptions(raw, raw.sliding_window_pattern), ropesOf(raw)), file);
}

function ropesOf(raw: Raw): Ropes {
  const factorOf = (rope: Record<string, unknown> | null | undefined): number =>
    typeof rope?.["factor"] === "number" && rope["rope_type"] === "linear" ? rope["factor"] : 1;
  const { rope_parameters: newer } = raw;
  if (newer !== null && newer !== undefined) {
    const [sliding, full] = [newer.sliding_attention, newer.full_attention];
    return {
      sliding: { theta: sliding.rope_theta, factor: factorOf(sliding) },
      full: { theta: full.rope_theta, factor: factorOf(full) },
    };
  }
  return {
    sliding: { theta: raw.rope_local_base_freq, factor: 1 },
    full: { theta: raw.rope_theta, factor: factorOf(raw.rope_scaling) },
  };
}

function configText(config: ModelConfig): string {
  const [sliding, full] = [ropeOf(config, "sliding"), ropeOf(config, "full")];
  return gemmaConfigText(config, "Gemma3ForCausalLM", {
    rope_local_base_freq: sliding.theta,
    rope_scaling: full.factor === 1 ? null : { factor: full.factor, rope_type: "linear" },
  });
}

const count = z.int().min(1);
const metadataSchema = z.looseObject({
  "gemma3.context_length": count,
  "gemma3.embedding_length": count,
  "gemma3.block_count": count.max(MAX_LAYERS),
  "gemma3.feed_forward_length": count,
  "gemma3.attention.head_count": count,
  "gemma3.attention.head_count_kv": count,
  "gemma3.attention.key_length": count,
  "gemma3.attention.layer_norm_rms_epsilon": positive,
  "gemma3.attention.sliding_window": count,
  "gemma3.rope.freq_base": positive,
  "gemma3.rope.freq_base_swa": positive.default(10_000),
  "gemma3.rope.scaling.type": z.enum(["none", "linear"]).default("none"),
  "gemma3.rope.scaling.factor": positive.default(1),
  "gemma3.final_logit_softcapping": positive.nullable().default(null),
});

/** The one size whose queries are scaled by its width over its heads and not by the head width: 27b. */
const LAYERS_OF_27B = 62;

/** llama.cpp's files. What they leave out is what llama.cpp assumes: which layers are global, and how queries are scaled. */
const GGUF: GgufRules = {
  architecture: "gemma3",
  specialTokens: { bos: GEMMA_BOS, eos: "<eos>", pad: "<pad>", unk: "<unk>" },
  readConfig: (metadata, file) => {
    const raw = checked(metadata, metadataSchema, { file });
    const [nLayers, dModel] = [raw["gemma3.block_count"], raw["gemma3.embedding_length"]];
    const [nHeads, headDim] = [raw["gemma3.attention.head_count"], raw["gemma3.attention.key_length"]];
    const factor = raw["gemma3.rope.scaling.type"] === "linear" ? raw["gemma3.rope.scaling.factor"] : 1;
    const options = {
      nLayers,
      dModel,
      nHeads,
      nKvHeads: raw["gemma3.attention.head_count_kv"],
      headDim,
      dMlp: raw["gemma3.feed_forward_length"],
      queryPreAttnScalar: nLayers === LAYERS_OF_27B ? dModel / nHeads : headDim,
      rmsEps: Number(raw["gemma3.attention.layer_norm_rms_epsilon"].toPrecision(7)),
      slidingWindow: raw["gemma3.attention.sliding_window"],
      layerTypes: everyNthFull(nLayers, GLOBAL_EVERY),
      attnSoftcap: null,
      finalSoftcap: raw["gemma3.final_logit_softcapping"],
      maxPositions: raw["gemma3.context_length"],
    };
    const ropes = {
      sliding: { theta: raw["gemma3.rope.freq_base_swa"], factor: 1 },
      full: { theta: raw["gemma3.rope.freq_base"], factor },
    };
    return (vocabulary) => gemma3Config({ ...options, ...vocabulary }, ropes);
  },
};

/** Gemma 3 text models. */
export const GEMMA3: ModelFamily = {
  title: "Gemma-3",
  brand: "Gemma",
  modelType: "gemma3_text",
  readers: new Map([
    ["gemma3_text", (file: string) => configOf(readJsonFile(file, schema), file)],
    ["gemma3", (file: string) => configOf(readJsonFile(file, nestedSchema).text_config, file)],
  ]),
  configText,
  tensors: gemmaTensors,
  prefixes: GEMMA_PREFIXES,
  bos: { kind: "in_front", token: GEMMA_BOS },
  gguf: GGUF,
};
