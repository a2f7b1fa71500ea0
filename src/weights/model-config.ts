/** @file config.json of a Gemma-2 or Gemma-3 text checkpoint: read, checked, and written back for checkpoints of our own. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { z } from "zod";
import { badInput } from "../base/errors.js";
import { readJsonFile } from "../base/read-file.js";
import type { Site, SiteAt } from "../nodes/site.js";
import { familySchema, gemma2Schema, gemma3Schema, nestedSchema } from "./config-schema.js";

/** How a layer attends: to the latest `slidingWindow` positions, or to all. */
export type LayerType = "sliding" | "full";

/** Families of models that can be read. */
export type ModelFamily = "gemma2" | "gemma3_text";

/** Rotary embedding of one kind of layer. */
export interface RopeOptions {
  readonly theta: number;
  /** Positions are divided by this. */
  readonly factor: number;
}

/**
 * Sizes and options of a model. Both families share one layer plan; they differ in the options alone.
 *
 * Source: Gemma 2 technical report, arXiv 2408.00118, table 1; Gemma 3 technical report, arXiv 2503.19786, section 2.
 */
export interface ModelConfig {
  readonly family: ModelFamily;
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
  readonly ropes: Readonly<Record<LayerType, RopeOptions>>;
  /** Whether each head's query and key pass an RMS norm before the rotary embedding. */
  readonly queryKeyNorm: boolean;
  /** Tokens a sliding layer sees, the current one included. */
  readonly slidingWindow: number;
  readonly layerTypes: readonly LayerType[];
  /** null: no cap. */
  readonly attnSoftcap: number | null;
  readonly finalSoftcap: number | null;
  readonly maxPositions: number;
  readonly bosId: number;
  readonly padId: number;
  readonly eosId: number;
}

/** `model_type` of checkpoints whose `text_config` describes a Gemma-3 text model. */
const NESTED = "gemma3";

/**
 * Reads `config.json` of a checkpoint folder.
 * @throws PatchbayError `bad_input` when it is missing, of another family, or lacks a size.
 */
export function readModelConfig(folder: string): ModelConfig {
  const file = join(folder, "config.json");
  if (!existsSync(file)) {
    throw badInput("no such file; a model is a folder with config.json, *.safetensors and tokenizer.json", { file });
  }
  const { model_type: family } = readJsonFile(file, familySchema);
  const config = readFamily(family, file);
  checkConsistent(config, file);
  return config;
}

function readFamily(family: string, file: string): ModelConfig {
  if (family === "gemma2") return gemma2Config(readJsonFile(file, gemma2Schema), file);
  if (family === "gemma3_text") return gemma3Config(readJsonFile(file, gemma3Schema));
  if (family === NESTED) return gemma3Config(readJsonFile(file, nestedSchema).text_config);
  throw badInput(
    `expected "gemma2" or "gemma3_text", got "${family}"; only Gemma-2 and Gemma-3 text checkpoints can be read`,
    { file, field: "model_type" },
  );
}

type Raw = z.infer<typeof gemma2Schema> | z.infer<typeof gemma3Schema>;

/** What both families spell alike. */
function sizesOf(raw: Raw) {
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
    attnSoftcap: raw.attn_logit_softcapping ?? null,
    finalSoftcap: raw.final_logit_softcapping ?? null,
    maxPositions: raw.max_position_embeddings,
    bosId: raw.bos_token_id,
    padId: raw.pad_token_id,
    eosId: Array.isArray(raw.eos_token_id) ? (raw.eos_token_id[0] as number) : raw.eos_token_id,
  };
}

function gemma2Config(raw: z.infer<typeof gemma2Schema>, file: string): ModelConfig {
  const theta = raw.rope_theta ?? raw.rope_parameters?.rope_theta;
  if (theta === undefined) throw badInput("expected a number, got nothing", { file, field: "rope_theta" });
  const newer = raw.rope_parameters?.rope_theta ?? theta;
  if (newer !== theta)
    throw badInput(`expected the rope_theta of rope_parameters, ${newer}, got ${theta}; keep one of them`, {
      file,
      field: "rope_theta",
    });
  const rope = { theta, factor: 1 };
  return {
    family: "gemma2",
    ...sizesOf(raw),
    ropes: { sliding: rope, full: rope },
    queryKeyNorm: false,
    layerTypes: raw.layer_types?.map(layerType) ?? everyNthFull(raw.num_hidden_layers, 2),
  };
}

function gemma3Config(raw: z.infer<typeof gemma3Schema>): ModelConfig {
  return {
    family: "gemma3_text",
    ...sizesOf(raw),
    ropes: gemma3Ropes(raw),
    queryKeyNorm: true,
    layerTypes: raw.layer_types?.map(layerType) ?? everyNthFull(raw.num_hidden_layers, raw.sliding_window_pattern),
  };
}

function gemma3Ropes(raw: z.infer<typeof gemma3Schema>): ModelConfig["ropes"] {
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

/** The same config in Hugging Face's spelling, ready for JSON. */
export function configJson(config: ModelConfig): Record<string, unknown> {
  const { sliding, full } = config.ropes;
  const gemma3 = {
    rope_local_base_freq: sliding.theta,
    rope_scaling: full.factor === 1 ? null : { factor: full.factor, rope_type: "linear" },
  };
  return {
    architectures: [config.family === "gemma2" ? "Gemma2ForCausalLM" : "Gemma3ForCausalLM"],
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
    model_type: config.family,
    num_attention_heads: config.nHeads,
    num_hidden_layers: config.nLayers,
    num_key_value_heads: config.nKvHeads,
    pad_token_id: config.padId,
    query_pre_attn_scalar: config.queryPreAttnScalar,
    rms_norm_eps: config.rmsEps,
    ...(config.family === "gemma2" ? {} : gemma3),
    rope_theta: full.theta,
    sliding_window: config.slidingWindow,
    tie_word_embeddings: true,
    torch_dtype: "float32",
    use_cache: true,
    vocab_size: config.vocabSize,
  };
}

/** Fields that transformers takes as floats alone; JSON from JavaScript writes a whole number without its point. */
const WHOLE_FLOATS = /^( *"(?:attn|final)_logit_softcapping": \d+)(,?)$/gm;

/** Text of config.json. */
export function configText(config: ModelConfig): string {
  return `${JSON.stringify(configJson(config), null, 2).replace(WHOLE_FLOATS, "$1.0$2")}\n`;
}

function layerType(name: "sliding_attention" | "full_attention"): LayerType {
  return name === "sliding_attention" ? "sliding" : "full";
}

/** Layers n-1, 2n-1, ... are global: what a config without `layer_types` means (Gemma-2: n = 2). */
function everyNthFull(nLayers: number, n: number): LayerType[] {
  return Array.from({ length: nLayers }, (_, layer) => ((layer + 1) % n === 0 ? "full" : "sliding"));
}

function checkConsistent(config: ModelConfig, file: string): void {
  const { nHeads, nKvHeads, headDim, nLayers, layerTypes } = config;
  if (nHeads % nKvHeads !== 0) {
    throw badInput(`expected a divisor of num_attention_heads (${nHeads}), got ${nKvHeads}`, {
      file,
      field: "num_key_value_heads",
    });
  }
  if (headDim % 2 !== 0) {
    throw badInput(`expected an even number, as rotary embedding needs, got ${headDim}`, {
      file,
      field: "head_dim",
    });
  }
  if (layerTypes.length !== nLayers) {
    throw badInput(`expected one entry for each of ${nLayers} layers, got ${layerTypes.length}`, {
      file,
      field: "layer_types",
    });
  }
}

/** Width of a site's activation. */
export function siteWidth({ site }: Pick<SiteAt, "site">, { nHeads, headDim, dModel }: ModelConfig): number {
  const widths: Readonly<Record<Site, number>> = { attn_z: nHeads * headDim, mlp_out: dModel, resid_post: dModel };
  return widths[site];
}
