/**
 * @file Trains the tiny Gemma-2 model: next-token prediction over whole sentences.
 *
 * 1. Draw a batch of sentences and embed them by a one-hot product with the tied embedding.
 * 2. Run the engine's own layer functions over the parameters, then unembed every position.
 * 3. Cross-entropy of each next token; padding does not count, verbs that the split keeps from a noun are left out.
 * 4. Adam with warm-up and cosine decay.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Scalar, Tensor, Tensor2D } from "@tensorflow/tfjs-core";
import { must } from "../../src/base/assert.js";
import { PatchbayError } from "../../src/base/errors.js";
import { createRng } from "../../src/base/rng.js";
import { AUTODIFF_RULES } from "../../src/model/backward-rules.js";
import { afterAttention, attend, wholeFrame, type Frame } from "../../src/model/layer.js";
import { computeProducts } from "../../src/model/products.js";
import { unembed } from "../../src/model/unembedding.js";
import { createAdam, learningRateAt } from "../../src/sae-training/adam.js";
import { mapParts, tensorsOf, type ModelConfig } from "../../src/families/family.js";
import { corpusTokens, drawBatch, SENTENCE_TOKENS, type SentenceBatch } from "./corpus.js";
import { initialParameters, parameter, type Parameters } from "./parameters.js";
import type { Bpe } from "./tokenizer-files.js";

/** How long and how fast the model is trained. */
export interface ModelTraining {
  readonly seed: number;
  readonly steps: number;
  /** Sentences for each step. */
  readonly batch: number;
  readonly peakLearningRate: number;
  readonly warmUpSteps: number;
  readonly beta2: number;
}

/** Called after each step with the mean cross-entropy (nats for each token) of its batch. */
export type OnStep = (step: number, loss: number) => void;

/** Trains from seeded initial values. Owner of the parameters: caller. */
export function trainModel(config: ModelConfig, bpe: Bpe, training: ModelTraining, onStep: OnStep): Parameters {
  const parameters = initialParameters(config, training.seed);
  const adam = createAdam(parameters, { beta1: 0.9, beta2: training.beta2, epsilon: 1e-8 });
  const frame = wholeFrame(config, training.batch, SENTENCE_TOKENS);
  const sentences = createRng(training.seed, "corpus", "model");
  const tokens = corpusTokens(bpe);
  for (let step = 0; step < training.steps; step++) {
    const batch = drawBatch(tokens, training.batch, sentences);
    const { loss, gradients } = lossAndGradients(config, parameters, batch, frame);
    adam.apply(gradients, learningRateAt(step, { ...training, peak: training.peakLearningRate }));
    tf.dispose([...gradients.values()]);
    if (!Number.isFinite(loss)) throw new PatchbayError("non_finite", `training loss is ${loss} at step ${step}`);
    onStep(step, loss);
  }
  frame.dispose();
  adam.dispose();
  return parameters;
}

/** Mean next-token loss of a batch, and its gradient for each parameter. Owner of the gradients: caller. */
export function lossAndGradients(
  config: ModelConfig,
  parameters: Parameters,
  batch: SentenceBatch,
  frame: Frame,
): { loss: number; gradients: Map<string, Tensor> } {
  const names = [...parameters.keys()];
  const variables = [...parameters.values()];
  const { value, grads } = tf.variableGrads(() => batchLoss(config, parameters, batch, frame), variables);
  const loss = must(value.dataSync<"float32">()[0], "loss");
  value.dispose();
  const gradients = names.map((name, i): [string, Tensor] => [name, must(grads[must(variables[i], name).name], name)]);
  return { loss, gradients: new Map(gradients) };
}

/** Logits of every position, `[B x T, V]`, with the tied embedding of the parameters. Owner: caller. */
export function allLogits(config: ModelConfig, parameters: Parameters, ids: Int32Array, frame: Frame): Tensor {
  return tf.tidy(() => {
    const { embedding, layers, finalGain } = tensorsOf(config);
    const embedding_VD = parameter(parameters, embedding) as Tensor2D;
    let resid_RD: Tensor = tf.mul(tf.matMul(oneHot(ids, config.vocabSize), embedding_VD), config.embeddingFactor);
    for (const [layer, kind] of config.layerTypes.entries()) {
      const weights = mapParts(must(layers[layer], "layer"), (stored) => parameter(parameters, stored));
      const context = { config, weights, kind, rules: AUTODIFF_RULES, products: computeProducts };
      resid_RD = afterAttention(context, resid_RD, attend(context, resid_RD, frame));
    }
    return unembed(config, parameter(parameters, finalGain), resid_RD, tf.transpose(embedding_VD), AUTODIFF_RULES);
  });
}

function batchLoss(config: ModelConfig, parameters: Parameters, batch: SentenceBatch, frame: Frame): Scalar {
  const { ids, targets, penalties, predictions } = batch;
  const logits_RV = allLogits(config, parameters, ids, frame);
  const shape: [number, number] = [ids.length, config.vocabSize];
  const allowed_RV = tf.sub(logits_RV, tf.tensor2d(penalties, shape));
  const weights_RV = tf.tensor2d(targets, shape);
  return tf.div(tf.sum(tf.mul(tf.logSoftmax(allowed_RV), weights_RV)), -predictions);
}

function oneHot(ids: Int32Array, vocabSize: number): Tensor2D {
  const rows = new Float32Array(ids.length * vocabSize);
  for (const [row, id] of ids.entries()) rows[row * vocabSize + id] = 1;
  return tf.tensor2d(rows, [ids.length, vocabSize]);
}
