/** @file Training of the model: the gradient, the same forward pass as the engine's, and runs that repeat bit for bit. */
import * as tf from "@tensorflow/tfjs-core";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { must } from "../../../src/base/assert.js";
import { sha256 } from "../../../src/base/hash.js";
import { createRng } from "../../../src/base/rng.js";
import { AUTODIFF_RULES } from "../../../src/model/backward-rules.js";
import { forward } from "../../../src/model/forward.js";
import { wholeFrame } from "../../../src/model/layer.js";
import { loadModel } from "../../../src/model/model.js";
import { unembed } from "../../../src/model/unembedding.js";
import { corpusTokens, drawBatch, SENTENCE_TOKENS } from "../../../tools/tiny-world/corpus.js";
import { checkpointTensors, disposeParameters, initialParameters } from "../../../tools/tiny-world/parameters.js";
import { tinyConfig } from "../../../tools/tiny-world/tiny-config.js";
import { buildBpe } from "../../../tools/tiny-world/tokenizer-files.js";
import { allLogits, lossAndGradients, trainModel, type ModelTraining } from "../../../tools/tiny-world/train-model.js";
import { openCheckpoint, writeCheckpoint } from "../../../src/weights/checkpoint.js";
import { encodeSafetensors } from "../../../src/weights/safetensors.js";
import { startBackend } from "../../../src/backends/start-backend.js";

beforeAll(() => startBackend("wasm"));

const EMBEDDING = "model.embed_tokens.weight";
const bpe = buildBpe();
const config = tinyConfig(bpe.vocabulary.size);
const training: ModelTraining = {
  seed: 1,
  steps: 8,
  batch: 8,
  peakLearningRate: 3e-3,
  warmUpSteps: 2,
  beta2: 0.98,
};

/** A short run's losses and the hash of all its parameters. */
function run(seed: number): { losses: number[]; weights: string } {
  const losses: number[] = [];
  const parameters = trainModel(config, bpe, { ...training, seed }, (_step, loss) => losses.push(loss));
  const weights = sha256(encodeSafetensors(checkpointTensors(config, parameters)));
  disposeParameters(parameters);
  return { losses, weights };
}

describe("a training run", () => {
  it("lowers the loss, repeats bit for bit, and depends on its seed", () => {
    const [first, second, other] = [run(1), run(1), run(2)];
    expect(first.losses.at(-1)).toBeLessThan(0.8 * must(first.losses[0], "loss"));
    expect(second.weights).toBe(first.weights);
    expect(other.weights).not.toBe(first.weights);
  });

  it("leaves no tensor behind", async () => {
    await expect(() => {
      run(1);
    }).toLeakNoTensors();
  });
});

describe("the training forward pass", () => {
  it("gives the logits of the engine's forward pass over the written checkpoint", async () => {
    const parameters = initialParameters(config, 4);
    const folder = mkdtempSync(join(tmpdir(), "patchbay-train-"));
    await writeCheckpoint(folder, config, checkpointTensors(config, parameters));
    const checkpoint = await openCheckpoint(folder);
    const model = await loadModel(checkpoint);
    const rng = createRng(4, "prompts");
    const prompts = Array.from({ length: 3 }, () => [2, ...Array.from({ length: 8 }, () => rng.int(config.vocabSize))]);
    const frame = wholeFrame(config, 3, 9);
    const trained = allLogits(config, parameters, Int32Array.from(prompts.flat()), frame);
    const rows = await checkpoint.readRows(
      EMBEDDING,
      Array.from({ length: config.vocabSize }, (_, id) => id),
    );
    const unembed_DV = tf.transpose(tf.tensor2d(rows, [config.vocabSize, config.dModel]));
    const engine = unembed(config, model.finalGain_D, await forward(model, prompts), unembed_DV, AUTODIFF_RULES);
    expect(trained.dataSync()).toBeAllclose(engine.dataSync(), { rtol: 1e-5, atol: 1e-5 });
    await checkpoint.close();
    rmSync(folder, { recursive: true });
  });
});

describe("the loss's gradient", () => {
  it.each([
    EMBEDDING,
    "model.norm.weight",
    "model.layers.0.self_attn.q_proj.weight",
    "model.layers.1.self_attn.v_proj.weight",
    "model.layers.2.post_attention_layernorm.weight",
    "model.layers.3.mlp.gate_proj.weight",
  ])("of %s agrees with a finite difference along it", (name) => {
    const parameters = initialParameters(config, 5);
    const frame = wholeFrame(config, 8, SENTENCE_TOKENS);
    const batch = drawBatch(corpusTokens(bpe), 8, createRng(5, "batch"));
    const variable = must(parameters.get(name), name);
    const start = tf.clone(variable);
    const direction = must(lossAndGradients(config, parameters, batch, frame).gradients.get(name), name);
    const slope = Math.sqrt(must(tf.sum(tf.square(direction)).dataSync()[0], "norm"));
    const step = 0.02;
    const lossAt = (distance: number): number => {
      variable.assign(tf.add(start, tf.mul(direction, distance / slope)));
      return lossAndGradients(config, parameters, batch, frame).loss;
    };
    // Two step sizes cancel the cubic term. Source: Richardson extrapolation.
    const difference = (h: number): number => (lossAt(h) - lossAt(-h)) / (2 * h);
    expect((4 * difference(step) - difference(2 * step)) / 3 / slope).toBeCloseTo(1, 2);
    disposeParameters(parameters);
  });
});
