/** @file The tensors of a Gemma checkpoint: Hugging Face's names and the shapes that a config implies. */
import type { ModelConfig } from "./model-config.js";

/** Name of the token embedding, `[V, D]`; also the unembedding. */
export const EMBEDDING = "model.embed_tokens.weight";
/** Name of the last norm, `[D]`. */
export const FINAL_NORM = "model.norm.weight";

/** Name of a layer's tensor: `layerTensor(3, "mlp.up_proj")`. */
export function layerTensor(layer: number, part: string): string {
  return `model.layers.${layer}.${part}.weight`;
}

/** Prefixes that larger models put before the language model's names in place of `model.`, as Hugging Face writes them. */
const PREFIXES = ["model.", "language_model.model.", "model.language_model."];

/** How a file spells the name of a tensor. */
export type Spelling = (name: string) => string;

/** The spelling under which `has` finds the token embedding; the plain one where none does. */
export function spellingIn(has: (name: string) => boolean): Spelling {
  const spellings = PREFIXES.map((prefix) => (name: string) => name.replace(/^model\./, prefix));
  return spellings.find((spell) => has(spell(EMBEDDING))) ?? ((name) => name);
}

function queryKeyNorms(headDim: number): [string, readonly number[]][] {
  return [
    ["self_attn.q_norm", [headDim]],
    ["self_attn.k_norm", [headDim]],
  ];
}

/** Every tensor a model of this config has, with its shape. Linear layers are stored `[out, in]`. */
export function gemmaTensors(config: ModelConfig): Map<string, readonly number[]> {
  const { nLayers, dModel, dMlp, vocabSize } = config;
  const dQueries = config.nHeads * config.headDim;
  const dKeys = config.nKvHeads * config.headDim;
  const parts: [string, readonly number[]][] = [
    ["input_layernorm", [dModel]],
    ["self_attn.q_proj", [dQueries, dModel]],
    ["self_attn.k_proj", [dKeys, dModel]],
    ["self_attn.v_proj", [dKeys, dModel]],
    ["self_attn.o_proj", [dModel, dQueries]],
    ...(config.queryKeyNorm ? queryKeyNorms(config.headDim) : []),
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
