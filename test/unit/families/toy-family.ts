/**
 * @file A family that src/ does not know, as a new one would be written: other names in config.json and in the weight files, no
 * norm after attention and MLP, gains as they are, an embedding that is not scaled, no soft-caps, no sliding layers, no BOS.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { readJsonFile } from "../../../src/base/read-file.js";
import { createRng } from "../../../src/base/rng.js";
import { positive, size, tokenId } from "../../../src/families/config-fields.js";
import {
  ropeOf,
  tensorShapes,
  type LayerParts,
  type ModelConfig,
  type ModelFamily,
  type StoredTensor,
} from "../../../src/families/family.js";
import type { NamedArray } from "../../../src/weights/named-array.js";
import { encodeSafetensors } from "../../../src/weights/safetensors.js";

const schema = z.looseObject({
  depth: size,
  width: size,
  heads: size,
  hidden: size,
  vocabulary: size,
  context: size,
  epsilon: positive,
  rope_base: positive,
  end: tokenId,
});
type Raw = z.infer<typeof schema>;

function configOf({ depth, width, heads, hidden, vocabulary, context, epsilon, rope_base, end }: Raw): ModelConfig {
  return {
    family: TOY,
    nLayers: depth,
    dModel: width,
    nHeads: heads,
    nKvHeads: heads,
    headDim: width / heads,
    dMlp: hidden,
    vocabSize: vocabulary,
    embeddingFactor: 1,
    norm: { kind: "rms", eps: epsilon, offset: 0 },
    postNorms: false,
    queryKeyNorm: false,
    positions: { kind: "rope", rope: { theta: rope_base, factor: 1 } },
    queryPreAttnScalar: width / heads,
    slidingWindow: context,
    layerTypes: Array.from({ length: depth }, () => "full"),
    mlp: { kind: "gated", activation: "gelu_tanh" },
    attnSoftcap: null,
    finalSoftcap: null,
    maxPositions: context,
    bosId: end,
    padId: end,
    eosId: end,
  };
}

function configText(config: ModelConfig): string {
  const fields = {
    model_type: TOY.modelType,
    depth: config.nLayers,
    width: config.dModel,
    heads: config.nHeads,
    hidden: config.dMlp,
    vocabulary: config.vocabSize,
    context: config.maxPositions,
    epsilon: config.norm.eps,
    rope_base: ropeOf(config, "full").theta,
    end: config.eosId,
  };
  return JSON.stringify(fields);
}

function layerOf({ dModel: D, dMlp: M }: ModelConfig, layer: number): LayerParts<StoredTensor> {
  const at = (part: string): string => `toy.h${String(layer)}.${part}`;
  const matrix = (part: string, outputs: number, inputs: number): StoredTensor => {
    return { kind: "matrix", name: at(part), shape: [outputs, inputs] };
  };
  const gain = (part: string): StoredTensor => ({ kind: "gain", name: at(part), shape: [D] });
  return {
    inputGain_D: gain("norm1"),
    query_DZ: matrix("q", D, D),
    key_DJ: matrix("k", D, D),
    value_DJ: matrix("v", D, D),
    output_ZD: matrix("o", D, D),
    preMlpGain_D: gain("norm2"),
    gate_DM: matrix("in_gate", M, D),
    up_DM: matrix("in", M, D),
    down_MD: matrix("out", D, M),
  };
}

/** The family. */
export const TOY: ModelFamily = {
  title: "Toy",
  brand: "Toy",
  modelType: "toy",
  readers: new Map([["toy", (file: string) => configOf(readJsonFile(file, schema))]]),
  configText,
  tensors: (config) => ({
    embedding: { kind: "matrix", name: "toy.wte", shape: [config.vocabSize, config.dModel] },
    layers: Array.from({ length: config.nLayers }, (_, layer) => layerOf(config, layer)),
    finalGain: { kind: "gain", name: "toy.norm", shape: [config.dModel] },
  }),
  prefixes: ["toy.", "wrapped.toy."],
  bos: { kind: "none" },
};

const SIZES: Raw = {
  depth: 3,
  width: 24,
  heads: 3,
  hidden: 40,
  vocabulary: 50,
  context: 32,
  epsilon: 1e-5,
  rope_base: 500,
  end: 49,
};

/** Writes a random checkpoint, by the file format alone. @returns its tensors. */
export function writeToyCheckpoint(folder: string): ReadonlyMap<string, NamedArray> {
  const rng = createRng(7, "toy family");
  const config = configOf(SIZES);
  const random = (mean: number, spread: number, count: number): Float32Array =>
    Float32Array.from({ length: count }, () => mean + spread * rng.normal());
  const tensors = new Map<string, NamedArray>();
  for (const [name, shape] of tensorShapes(config)) {
    const [rows = 0, columns] = shape;
    const values =
      columns === undefined
        ? random(1, 0.2, rows)
        : random(0, name === "toy.wte" ? 1 : columns ** -0.5, rows * columns);
    tensors.set(name, { shape, values });
  }
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "config.json"), JSON.stringify({ model_type: "toy", ...SIZES }));
  writeFileSync(join(folder, "model.safetensors"), encodeSafetensors(tensors));
  return tensors;
}
