/** @file A Gemma whose layers come to the device through a pool; the embedding matrix stays on the host. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must } from "../base/assert.js";
import type { Checkpoint } from "../weights/checkpoint.js";
import { gemmaTensors } from "../weights/gemma-tensors.js";
import type { ModelConfig } from "../weights/model-config.js";
import { AUTODIFF_RULES, type BackwardRules } from "./backward-rules.js";
import { checkpointEmbedding, type EmbeddingTable } from "./embedding.js";
import type { LayerContext, LayerWeights } from "./layer.js";
import { allLoaded } from "./all-loaded.js";
import { FLOAT32_MATRICES, loadTransposed, type MatrixLoader } from "./matrices.js";
import { computeProducts, type Products } from "./products.js";
import type { Disposable } from "./tensor-scope.js";
import { WeightPool, type Pooled } from "./weight-pool.js";

/** One layer on the device. */
export interface LoadedLayer extends Disposable {
  readonly weights: LayerWeights;
}

/** Weights and sizes. Owner of the tensors: whoever loaded it, through `dispose`. */
export interface Model {
  readonly config: ModelConfig;
  readonly layers: readonly Pooled<LoadedLayer>[];
  /** Where the layers are kept, and what else is loaded with them. Owner: the model. */
  readonly pool: WeightPool;
  /** `1 + w` of the final norm. */
  readonly finalGain_D: Tensor;
  readonly embedding: EmbeddingTable;
  dispose(): void;
}

/**
 * Calls `visit` for each layer in order, with the layer's weights on the device.
 * @param also what else a layer needs.
 */
export async function walkLayers(
  { layers, pool }: Model,
  order: readonly number[],
  visit: (layer: number) => Promise<void> | void,
  also: (layer: number) => readonly Pooled<unknown>[] = () => [],
): Promise<void> {
  const steps = order.map((layer) => [must(layers[layer], "layer"), ...also(layer)]);
  await pool.walk(steps, (step) => visit(must(order[step], "layer")));
}

/** Layers from `first` to the model's last, upwards. */
export function layersFrom({ nLayers }: ModelConfig, first = 0): number[] {
  return Array.from({ length: nLayers - first }, (_, i) => first + i);
}

/** Layer `index`, which is on the device, with its backward rules, ready for the layer functions. */
export function layerContext(
  model: Model,
  index: number,
  rules: BackwardRules = AUTODIFF_RULES,
  products: Products = computeProducts,
): LayerContext {
  return {
    config: model.config,
    weights: must(model.layers[index], "layer").now().weights,
    kind: must(model.config.layerTypes[index], "layer type"),
    rules,
    products,
  };
}

/** A norm's weight as the gain `1 + w`. */
async function gain(checkpoint: Checkpoint, name: string): Promise<Tensor> {
  return tf.tensor1d((await checkpoint.read(name)).map((w) => 1 + w));
}

async function loadLayer(checkpoint: Checkpoint, index: number, matrices: MatrixLoader): Promise<LoadedLayer> {
  const matrix = (name: string): Promise<Tensor> =>
    loadTransposed(matrices, checkpoint.array(nameOf(index, `${name}_proj`)));
  const norm = (name: string): Promise<Tensor> => gain(checkpoint, nameOf(index, name));
  // All at once: a loader may read several side by side.
  const weights: LayerWeights = await allLoaded({
    inputGain_D: norm("input_layernorm"),
    query_DZ: matrix("self_attn.q"),
    key_DJ: matrix("self_attn.k"),
    value_DJ: matrix("self_attn.v"),
    output_ZD: matrix("self_attn.o"),
    ...(checkpoint.config.queryKeyNorm && {
      queryGain_H: norm("self_attn.q_norm"),
      keyGain_H: norm("self_attn.k_norm"),
    }),
    postAttentionGain_D: norm("post_attention_layernorm"),
    preMlpGain_D: norm("pre_feedforward_layernorm"),
    gate_DM: matrix("mlp.gate"),
    up_DM: matrix("mlp.up"),
    down_MD: matrix("mlp.down"),
    postMlpGain_D: norm("post_feedforward_layernorm"),
  });
  const dispose = (): void => {
    tf.dispose(Object.values(weights) as Tensor[]);
  };
  return { weights, dispose };
}

function nameOf(index: number, name: string): string {
  return `model.layers.${String(index)}.${name}.weight`;
}

/** Bytes of a layer on the device. */
function layerBytes(checkpoint: Checkpoint, index: number, bytesPerValue: number): number {
  const prefix = `model.layers.${String(index)}.`;
  const shapes = [...gemmaTensors(checkpoint.config)].filter(([name]) => name.startsWith(prefix));
  const values = shapes.reduce((total, [, shape]) => total + shape.reduce((size, extent) => size * extent, 1), 0);
  return values * bytesPerValue;
}

/**
 * Opens a model. Its layers join the pool and are read when the pool is filled, or when a walk needs them; the checkpoint stays open for
 * them and for embedding rows.
 */
export async function openModel(
  checkpoint: Checkpoint,
  pool = new WeightPool(),
  matrices = FLOAT32_MATRICES,
): Promise<Model> {
  const { config } = checkpoint;
  const layers = layersFrom(config).map((index) =>
    pool.add({
      bytes: layerBytes(checkpoint, index, matrices.bytesPerValue),
      load: () => loadLayer(checkpoint, index, matrices),
    }),
  );
  const finalGain_D = await gain(checkpoint, "model.norm.weight");
  const dispose = (): void => {
    finalGain_D.dispose();
    pool.dispose();
  };
  return { config, layers, pool, finalGain_D, embedding: checkpointEmbedding(checkpoint), dispose };
}

/** Opens a model and reads all of it. */
export async function loadModel(checkpoint: Checkpoint, matrices = FLOAT32_MATRICES): Promise<Model> {
  const model = await openModel(checkpoint, new WeightPool(), matrices);
  await model.pool.fill();
  return model;
}
