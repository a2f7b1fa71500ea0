/** @file The trained model's parameters: initial values, the engine's layer functions over them, and their checkpoint. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor, Variable } from "@tensorflow/tfjs-core";
import { must } from "../../src/base/assert.js";
import { createRng, type Rng } from "../../src/base/rng.js";
import type { LayerWeights } from "../../src/model/layer.js";
import { EMBEDDING, FINAL_NORM, gemmaTensors, layerTensor } from "../../src/weights/gemma-tensors.js";
import type { ModelConfig } from "../../src/weights/model-config.js";
import type { NamedArray } from "../../src/weights/named-array.js";
import { variableFrom } from "../../src/sae-training/variable.js";

/**
 * Parameters by their checkpoint name, in the layout that the forward pass multiplies with: matrices `[in, out]` (the
 * checkpoint has `[out, in]`), norms as the gain `1 + w`. Owner: whoever made them.
 */
export type Parameters = ReadonlyMap<string, Variable>;

/** Standard deviation of the embedding: logits of an untrained model then have one of about 1. */
const EMBEDDING_SD = 0.1;

/** Seeded initial values. Matrices are normal with variance 1 / inputs, gains are 1. Owner: caller. */
export function initialParameters(config: ModelConfig, seed: number): Parameters {
  const parameters = new Map<string, Variable>();
  for (const [name, shape] of gemmaTensors(config)) {
    const values = initialValues(name, shape, createRng(seed, "parameters", name));
    parameters.set(name, variableFrom(tf.tensor(values, layoutOf(name, shape)), true));
  }
  return parameters;
}

/** One layer's weights as the engine's layer functions take them. They stay the parameters' own. */
export function layerWeights(parameters: Parameters, layer: number): LayerWeights {
  const part = (name: string): Tensor => must(parameters.get(layerTensor(layer, name)), name);
  return {
    inputGain_D: part("input_layernorm"),
    query_DZ: part("self_attn.q_proj"),
    key_DJ: part("self_attn.k_proj"),
    value_DJ: part("self_attn.v_proj"),
    output_ZD: part("self_attn.o_proj"),
    postAttentionGain_D: part("post_attention_layernorm"),
    preMlpGain_D: part("pre_feedforward_layernorm"),
    gate_DM: part("mlp.gate_proj"),
    up_DM: part("mlp.up_proj"),
    down_MD: part("mlp.down_proj"),
    postMlpGain_D: part("post_feedforward_layernorm"),
  };
}

/** The parameters as a checkpoint stores them. */
export function checkpointTensors(parameters: Parameters): Map<string, NamedArray> {
  const tensors = new Map<string, NamedArray>();
  for (const [name, variable] of parameters) {
    const stored = tf.tidy(() => {
      if (variable.rank === 1) return tf.sub(variable, 1);
      return name === EMBEDDING ? tf.clone(variable) : tf.transpose(variable);
    });
    tensors.set(name, { shape: [...stored.shape], values: stored.dataSync<"float32">().slice() });
    stored.dispose();
  }
  return tensors;
}

/** Frees the parameters. */
export function disposeParameters(parameters: Parameters): void {
  for (const variable of parameters.values()) variable.dispose();
}

/** Names whose parameter is the final norm or the embedding, needed apart from the layers. */
export const WHOLE_MODEL = { embedding: EMBEDDING, finalNorm: FINAL_NORM } as const;

function layoutOf(name: string, shape: readonly number[]): number[] {
  return name === EMBEDDING ? [...shape] : [...shape].reverse();
}

function initialValues(name: string, shape: readonly number[], rng: Rng): Float32Array {
  const [rows = 0, columns] = shape;
  if (columns === undefined) return new Float32Array(rows).fill(1);
  const sd = name === EMBEDDING ? EMBEDDING_SD : columns ** -0.5;
  return Float32Array.from({ length: rows * columns }, () => sd * rng.normal());
}
