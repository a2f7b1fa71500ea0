/** @file A model whose layers come to the device through a pool; the embedding matrix stays on the host. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import { must, unreachable } from "../base/assert.js";
import { mapParts, tensorsOf, type ModelConfig, type ModelTensors, type StoredTensor } from "../families/family.js";
import type { Checkpoint } from "../weights/checkpoint.js";
import { AUTODIFF_RULES, type BackwardRules } from "./backward-rules.js";
import { checkpointEmbedding, type EmbeddingTable } from "./embedding.js";
import type { LayerContext, LayerWeights } from "./layer-context.js";
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
  /** Gain of the final norm. */
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

/** A tensor as the equations take it: matrices `[in, out]`, a norm's weight as its gain. Owner: caller. */
async function loadTensor(checkpoint: Checkpoint, stored: StoredTensor, matrices: MatrixLoader): Promise<Tensor> {
  switch (stored.kind) {
    case "matrix":
      return await loadTransposed(matrices, checkpoint.array(stored.name));
    case "gain": {
      const { offset } = checkpoint.config.norm;
      return tf.tensor1d((await checkpoint.read(stored.name)).map((w) => offset + w));
    }
    default:
      return unreachable(stored);
  }
}

type StoredLayer = ModelTensors["layers"][number];

async function loadLayer(checkpoint: Checkpoint, layer: StoredLayer, matrices: MatrixLoader): Promise<LoadedLayer> {
  // All at once: a loader may read several side by side.
  const weights = await allLoaded<LayerWeights>(mapParts(layer, (stored) => loadTensor(checkpoint, stored, matrices)));
  const dispose = (): void => {
    tf.dispose(Object.values(weights) as Tensor[]);
  };
  return { weights, dispose };
}

/** Numbers in a layer. */
function layerSize(layer: StoredLayer): number {
  const shapes = Object.values(layer).map(({ shape }: StoredTensor) => shape);
  return shapes.reduce((total, shape) => total + shape.reduce((size, extent) => size * extent, 1), 0);
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
  const tensors = tensorsOf(config);
  const layers = tensors.layers.map((layer) =>
    pool.add({
      bytes: layerSize(layer) * matrices.bytesPerValue,
      load: () => loadLayer(checkpoint, layer, matrices),
    }),
  );
  const finalGain_D = await loadTensor(checkpoint, tensors.finalGain, matrices);
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
