/**
 * @file Writes a random Gemma-2 checkpoint (Hugging Face layout) and random SAEs (Gemma Scope layout) of a named size:
 * `node bench/models/make-checkpoint.js medium FOLDER`. Thresholds are set from a forward pass, so that about 2.5 % of the features fire.
 */
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { idsOf, visitLayers } from "../../dist/passes/capture.js";
import { loadAnswers } from "../../dist/model/metric.js";
import { loadModel } from "../../dist/model/model.js";
import { startBackend } from "../../dist/backends/start-backend.js";
import { openCheckpoint, writeCheckpoint } from "../../dist/weights/checkpoint.js";
import { writeNpz } from "../../dist/weights/npz.js";
import { tensorShapes } from "../../dist/families/family.js";
import { readModelConfig } from "../../dist/families/read-config.js";

/** Sizes of the models and their SAEs; `tiny` is for trying the steps of a bench. */
export const SIZES = {
  tiny: { layers: 3, width: 64, heads: 4, kvHeads: 2, headWidth: 16, mlp: 128, vocabulary: 1500, features: 1024 },
  medium: { layers: 8, width: 512, heads: 8, kvHeads: 4, headWidth: 64, mlp: 2048, vocabulary: 32_000, features: 4096 },
  "2b-slice": {
    layers: 4,
    width: 2304,
    heads: 8,
    kvHeads: 4,
    headWidth: 256,
    mlp: 9216,
    vocabulary: 32_000,
    features: 16_384,
  },
};

export const SITE_FOLDERS = { attn_z: "att", mlp_out: "mlp", resid_post: "resid" };
/** Standard deviations above which 2.5 % of a normal distribution lies. */
export const GATE = 1.96;
const TOKENS = 7;

/** Prompts of random tokens; clean and corrupted differ from the third token on. */
export function randomPrompts(count, vocabulary) {
  const next = generator(1);
  const token = () => 10 + Math.floor(next() * (vocabulary - 10));
  return Array.from({ length: count }, (_, i) => {
    const clean = [2, ...Array.from({ length: TOKENS - 1 }, token)];
    const corrupted = clean.map((id, t) => (t < 2 ? id : token()));
    return { line: i + 1, clean, corrupted, correct: token(), incorrect: [token()] };
  });
}

/** Writes `FOLDER/model` and `FOLDER/saes`. */
export async function makeCheckpoint(size, folder) {
  const shape = SIZES[size];
  const model = join(folder, "model");
  mkdirSync(model, { recursive: true });
  writeFileSync(join(model, "config.json"), JSON.stringify(configOf(shape)));
  const config = readModelConfig(model);
  let seed = 0;
  const tensors = new Map();
  for (const [name, dims] of tensorShapes(config)) {
    const spread = name.includes("norm") ? 0 : name.includes("embed") ? 0.04 : 1 / Math.sqrt(dims[1]);
    tensors.set(name, { shape: dims, values: randomValues(dims, spread, ++seed) });
  }
  await writeCheckpoint(model, config, tensors);
  for (const { site, layer, width, scale } of await scales(model, shape))
    await writeSae(folder, { site, layer, width, scale }, shape.features, ++seed);
}

async function writeSae(folder, { site, layer, width, scale }, features, seed) {
  const array = (shape, spread, extra) => ({ shape, values: randomValues(shape, spread, 1000 * seed + extra) });
  const constant = (size, value) => ({ shape: [size], values: new Float32Array(size).fill(value) });
  const arrays = new Map([
    ["W_enc", array([width, features], 1 / Math.sqrt(width), 1)],
    ["W_dec", array([features, width], 1 / Math.sqrt(width), 2)],
    ["b_enc", constant(features, 0)],
    ["b_dec", constant(width, 0)],
    ["threshold", constant(features, GATE * scale)],
  ]);
  const at = `saes/${SITE_FOLDERS[site]}/layer_${layer}/width_${features / 1024}k`;
  const place = join(folder, at, `average_l0_${Math.round(features * 0.025)}`);
  await writeNpz(join(place, "params.npz"), arrays);
}

/** Root mean square of every site's activations. */
async function scales(model, shape) {
  await startBackend("wasm");
  const checkpoint = await openCheckpoint(model);
  const loaded = await loadModel(checkpoint);
  const prompts = randomPrompts(4, shape.vocabulary);
  const answers = await loadAnswers(loaded.embedding, prompts, "max");
  const found = [];
  await visitLayers(
    loaded,
    { batches: [{ ids: idsOf(prompts, "clean"), rows: null }], answers },
    async (layer, [clean]) => {
      for (const site of Object.keys(SITE_FOLDERS)) {
        const values = await clean[site].data();
        const scale = Math.sqrt(values.reduce((sum, x) => sum + x * x, 0) / values.length);
        found.push({ site, layer, width: clean[site].shape[1], scale });
      }
    },
  );
  answers.dispose();
  loaded.dispose();
  await checkpoint.close();
  return found;
}

/** config.json of a shape. */
export function configOf({ layers, width, heads, kvHeads, headWidth, mlp, vocabulary }) {
  return {
    architectures: ["Gemma2ForCausalLM"],
    model_type: "gemma2",
    attn_logit_softcapping: 50,
    final_logit_softcapping: 30,
    bos_token_id: 2,
    eos_token_id: 1,
    pad_token_id: 0,
    head_dim: headWidth,
    hidden_act: "gelu_pytorch_tanh",
    hidden_activation: "gelu_pytorch_tanh",
    hidden_size: width,
    intermediate_size: mlp,
    max_position_embeddings: 8192,
    num_attention_heads: heads,
    num_hidden_layers: layers,
    num_key_value_heads: kvHeads,
    query_pre_attn_scalar: headWidth,
    rms_norm_eps: 1e-6,
    rope_theta: 10_000,
    sliding_window: 4096,
    vocab_size: vocabulary,
    tie_word_embeddings: true,
  };
}

/** Numbers in [0, 1): a small generator that fills arrays of 1e8 in seconds. */
function generator(seed) {
  let state = (seed * 2654435761 + 1) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 4294967296;
  };
}

/** Sums of three uniform numbers: near enough to normal, with the given standard deviation. */
export function randomValues(shape, spread, seed) {
  const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
  const next = generator(seed);
  const factor = 2 * spread;
  if (spread > 0) for (let i = 0; i < values.length; i++) values[i] = factor * (next() + next() + next() - 1.5);
  return values;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const [size = "medium", folder = `bench-${size}`] = process.argv.slice(2);
  await makeCheckpoint(size, `${folder}.part`);
  renameSync(`${folder}.part`, folder);
  console.log(`written to ${folder}`);
}
