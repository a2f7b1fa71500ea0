/** @file What config.json of a Gemma may hold: one schema for each family, as Hugging Face writes it. */
import { z } from "zod";

const size = z
  .int()
  .min(1)
  .max(2 ** 31);
const tokenId = z.int().min(0);
const positive = z.number().positive();
const gelu = z.literal("gelu_pytorch_tanh").nullish();
const layerTypes = z.array(z.enum(["sliding_attention", "full_attention"])).nullish();

/** The field that says which family a checkpoint belongs to. */
export const familySchema = z.looseObject({ model_type: z.string() });

const shared = {
  num_hidden_layers: size.max(1000),
  hidden_size: size,
  intermediate_size: size,
  layer_types: layerTypes,
  hidden_activation: gelu,
  hidden_act: gelu,
  attention_bias: z.literal(false).optional(),
  use_bidirectional_attention: z.literal(false).nullish(),
  tie_word_embeddings: z.literal(true).optional(),
};

/** config.json of a Gemma-2 checkpoint. */
export const gemma2Schema = z.looseObject({
  ...shared,
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
 * config.json of a Gemma-3 text checkpoint, or the `text_config` of a larger one. Published files leave out what equals
 * the default of Hugging Face's Gemma3TextConfig, so the defaults are part of the format.
 */
export const gemma3Schema = z.looseObject({
  ...shared,
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
  sliding_window_pattern: size.default(6),
  attn_logit_softcapping: z.null().optional(), // Hugging Face ignores it here.
  final_logit_softcapping: positive.nullish(),
  max_position_embeddings: size.default(131_072),
  bos_token_id: tokenId.default(2),
  pad_token_id: tokenId.default(0),
  eos_token_id: z.union([tokenId, z.array(tokenId).min(1)]).default(1),
});

/** A checkpoint of a larger model whose language model is a Gemma-3 text model. */
export const nestedSchema = z.looseObject({
  tie_word_embeddings: shared.tie_word_embeddings,
  text_config: gemma3Schema.extend({ model_type: z.literal("gemma3_text").optional() }),
});
