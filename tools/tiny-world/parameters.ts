/** @file The trained model's parameters: initial values, and their checkpoint. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor, Variable } from "@tensorflow/tfjs-core";
import { must } from "../../src/base/assert.js";
import { createRng, type Rng } from "../../src/base/rng.js";
import type { NamedArray } from "../../src/weights/named-array.js";
import { variableFrom } from "../../src/sae-training/variable.js";
import { tensorShapes, tensorsOf, type ModelConfig, type StoredTensor } from "../../src/families/family.js";

/**
 * Parameters by their checkpoint name, in the layout that the forward pass multiplies with: matrices `[in, out]` (the
 * checkpoint has `[out, in]`), norms as the gain. Owner: whoever made them.
 */
export type Parameters = ReadonlyMap<string, Variable>;

/** Standard deviation of the embedding: logits of an untrained model then have one of about 1. */
const EMBEDDING_SD = 0.1;

/** Seeded initial values. Matrices are normal with variance 1 / inputs, gains are 1. Owner: caller. */
export function initialParameters(config: ModelConfig, seed: number): Parameters {
  const parameters = new Map<string, Variable>();
  const { embedding } = tensorsOf(config);
  for (const [name, shape] of tensorShapes(config)) {
    const isEmbedding = name === embedding.name;
    const values = initialValues(shape, isEmbedding, createRng(seed, "parameters", name));
    const layout = isEmbedding ? [...shape] : [...shape].reverse();
    parameters.set(name, variableFrom(tf.tensor(values, layout), true));
  }
  return parameters;
}

/** The parameter that a checkpoint stores as this tensor. It stays the parameters' own. */
export function parameter(parameters: Parameters, { name }: StoredTensor): Tensor {
  return must(parameters.get(name), name);
}

/** The parameters as a checkpoint stores them. */
export function checkpointTensors(config: ModelConfig, parameters: Parameters): Map<string, NamedArray> {
  const tensors = new Map<string, NamedArray>();
  const { embedding } = tensorsOf(config);
  for (const [name, variable] of parameters) {
    const stored = tf.tidy(() => {
      if (variable.rank === 1) return tf.sub(variable, config.norm.offset);
      return name === embedding.name ? tf.clone(variable) : tf.transpose(variable);
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

function initialValues(shape: readonly number[], isEmbedding: boolean, rng: Rng): Float32Array {
  const [rows = 0, columns] = shape;
  if (columns === undefined) return new Float32Array(rows).fill(1);
  const sd = isEmbedding ? EMBEDDING_SD : columns ** -0.5;
  return Float32Array.from({ length: rows * columns }, () => sd * rng.normal());
}
