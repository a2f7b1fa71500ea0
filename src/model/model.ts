/** @file A loaded Gemma: layer weights on the device, the embedding matrix on the host. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../base/assert.js";
import type { Checkpoint } from "../weights/checkpoint.js";
import type { ModelConfig } from "../weights/model-config.js";
import { AUTODIFF_RULES, type BackwardRules } from "./backward-rules.js";
import { checkpointEmbedding, type EmbeddingTable } from "./embedding.js";
import type { LayerContext, LayerWeights } from "./layer.js";

/** Weights and sizes. Owner of the tensors: whoever loaded it, through `dispose`. */
export interface Model {
  readonly config: ModelConfig;
  readonly layers: readonly LayerWeights[];
  /** `1 + w` of the final norm. */
  readonly finalGain_D: Tensor;
  readonly embedding: EmbeddingTable;
  dispose(): void;
}

/** Layer `index` with its backward rules, ready for the layer functions. */
export function layerContext(model: Model, index: number, rules: BackwardRules = AUTODIFF_RULES): LayerContext {
  return {
    config: model.config,
    weights: must(model.layers[index], "layer"),
    kind: must(model.config.layerTypes[index], "layer type"),
    rules,
  };
}

/** A `[out, in]` matrix of the file as an `[in, out]` tensor: a plain matMul is the fast path. */
async function matrix(checkpoint: Checkpoint, name: string): Promise<Tensor> {
  const values = await checkpoint.read(name);
  const [rows, columns] = checkpoint.shapeOf(name);
  return tf.tidy(() => tf.transpose(tf.tensor2d(values, [must(rows, "rows"), must(columns, "columns")])));
}

/** A norm's weight as the gain `1 + w`. */
async function gain(checkpoint: Checkpoint, name: string): Promise<Tensor> {
  return tf.tensor1d((await checkpoint.read(name)).map((w) => 1 + w));
}

async function loadLayer(checkpoint: Checkpoint, index: number): Promise<LayerWeights> {
  const at = (name: string): string => `model.layers.${String(index)}.${name}.weight`;
  return {
    inputGain_D: await gain(checkpoint, at("input_layernorm")),
    query_DZ: await matrix(checkpoint, at("self_attn.q_proj")),
    key_DJ: await matrix(checkpoint, at("self_attn.k_proj")),
    value_DJ: await matrix(checkpoint, at("self_attn.v_proj")),
    output_ZD: await matrix(checkpoint, at("self_attn.o_proj")),
    ...(checkpoint.config.queryKeyNorm && {
      queryGain_H: await gain(checkpoint, at("self_attn.q_norm")),
      keyGain_H: await gain(checkpoint, at("self_attn.k_norm")),
    }),
    postAttentionGain_D: await gain(checkpoint, at("post_attention_layernorm")),
    preMlpGain_D: await gain(checkpoint, at("pre_feedforward_layernorm")),
    gate_DM: await matrix(checkpoint, at("mlp.gate_proj")),
    up_DM: await matrix(checkpoint, at("mlp.up_proj")),
    down_MD: await matrix(checkpoint, at("mlp.down_proj")),
    postMlpGain_D: await gain(checkpoint, at("post_feedforward_layernorm")),
  };
}

/** Reads every layer to the device. The checkpoint stays open: embedding rows are read from it as prompts need them. */
export async function loadModel(checkpoint: Checkpoint): Promise<Model> {
  const layers: LayerWeights[] = [];
  for (let i = 0; i < checkpoint.config.nLayers; i++) layers.push(await loadLayer(checkpoint, i));
  const finalGain_D = await gain(checkpoint, "model.norm.weight");
  const dispose = (): void => {
    tf.dispose([finalGain_D, ...layers.flatMap((layer) => Object.values(layer) as Tensor[])]);
  };
  return { config: checkpoint.config, layers, finalGain_D, embedding: checkpointEmbedding(checkpoint), dispose };
}
