/** @file The tensors of a Gemma-2 checkpoint: Hugging Face's names and the shapes that a config implies. */
import type { ModelConfig } from "./model-config.js";

/** Name of the token embedding, `[V, D]`; also the unembedding. */
export const EMBEDDING = "model.embed_tokens.weight";
/** Name of the last norm, `[D]`. */
export const FINAL_NORM = "model.norm.weight";

/** Name of a layer's tensor: `layerTensor(3, "mlp.up_proj")`. */
export function layerTensor(layer: number, part: string): string {
  return `model.layers.${String(layer)}.${part}.weight`;
}

/** Every tensor a model of this config has, with its shape. Linear layers are stored `[out, in]`. */
export function gemma2Tensors(config: ModelConfig): Map<string, readonly number[]> {
  const { nLayers, dModel, dMlp, vocabSize } = config;
  const dQueries = config.nHeads * config.headDim;
  const dKeys = config.nKvHeads * config.headDim;
  const parts: [string, readonly number[]][] = [
    ["input_layernorm", [dModel]],
    ["self_attn.q_proj", [dQueries, dModel]],
    ["self_attn.k_proj", [dKeys, dModel]],
    ["self_attn.v_proj", [dKeys, dModel]],
    ["self_attn.o_proj", [dModel, dQueries]],
    ["post_attention_layernorm", [dModel]],
    ["pre_feedforward_layernorm", [dModel]],
    ["mlp.gate_proj", [dMlp, dModel]],
    ["mlp.up_proj", [dMlp, dModel]],
    ["mlp.down_proj", [dModel, dMlp]],
    ["post_feedforward_layernorm", [dModel]],
  ];
  const shapes = new Map<string, readonly number[]>([[EMBEDDING, [vocabSize, dModel]]]);
  for (let layer = 0; layer < nLayers; layer++) {
    for (const [part, shape] of parts) shapes.set(layerTensor(layer, part), shape);
  }
  return shapes.set(FINAL_NORM, [dModel]);
}
