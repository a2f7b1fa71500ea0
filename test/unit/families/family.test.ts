/** @file What holds for every family: the registry's, and one that is defined in a test. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { must } from "../../../src/base/assert.js";
import { tensorShapes, tensorsOf } from "../../../src/families/family.js";
import { readModelConfig } from "../../../src/families/read-config.js";
import { MODEL_FAMILIES, type ModelFamilies } from "../../../src/families/registry.js";
import { openCheckpoint, writeCheckpoint } from "../../../src/weights/checkpoint.js";
import type { NamedArray } from "../../../src/weights/named-array.js";
import { encodeSafetensors, readSafetensorsFile } from "../../../src/weights/safetensors.js";
import { temporaryFolder } from "../weights/temporary-folder.js";
import { TOY, writeToyCheckpoint } from "./toy-family.js";

/** A checkpoint folder of each family. */
const SAMPLES: Readonly<Record<keyof typeof MODEL_FAMILIES | "toy", () => string>> = {
  gemma2: () => "test/fixtures/tiny-a/model",
  gemma3: () => "test/fixtures/tiny-gemma3",
  toy: () => {
    const folder = temporaryFolder();
    writeToyCheckpoint(folder);
    return folder;
  },
};
const FAMILIES: ModelFamilies = { ...MODEL_FAMILIES, toy: TOY };

describe.each(Object.entries(SAMPLES))("%s", (name, sampleOf) => {
  const family = must(FAMILIES[name], name);

  test("writes a config.json that reads back equal, and is the family that reads it", () => {
    const folder = temporaryFolder();
    const config = readModelConfig(sampleOf(), FAMILIES);
    expect(config.family).toBe(family);
    expect([...family.readers.keys()][0]).toBe(family.modelType);
    writeFileSync(join(folder, "config.json"), family.configText(config));
    expect(readModelConfig(folder, FAMILIES)).toEqual(config);
  });

  test("names every tensor once, behind its own prefix, with parts for each layer", () => {
    const config = readModelConfig(sampleOf(), FAMILIES);
    const { embedding, layers } = tensorsOf(config);
    const parts = layers.reduce((sum, layer) => sum + Object.keys(layer).length, 0);
    expect(layers).toHaveLength(config.nLayers);
    expect(embedding.shape).toEqual([config.vocabSize, config.dModel]);
    expect(tensorShapes(config).size).toBe(parts + 2);
    expect([...tensorShapes(config).keys()].every((one) => one.startsWith(family.prefixes[0]))).toBe(true);
    const has = (part: string): boolean => layers.every((layer) => part in layer);
    expect([has("queryGain_H"), has("keyGain_H")]).toEqual([config.queryKeyNorm, config.queryKeyNorm]);
    expect([has("postAttentionGain_D"), has("postMlpGain_D")]).toEqual([config.postNorms, config.postNorms]);
  });

  test("opens a checkpoint that was written, under each of its prefixes", async () => {
    const sample = sampleOf();
    const { arrays } = await readSafetensorsFile(join(sample, "model.safetensors"));
    const config = readModelConfig(sample, FAMILIES);
    const [own] = family.prefixes;
    for (const prefix of family.prefixes) {
      const folder = temporaryFolder();
      await writeCheckpoint(folder, config, onlyOwn(arrays, config));
      const renamed = [...arrays].map(([key, array]) => [prefix + key.slice(own.length), array] as const);
      writeFileSync(join(folder, "model.safetensors"), encodeSafetensors(new Map(renamed)));
      const checkpoint = await openCheckpoint(folder, FAMILIES);
      onTestFinished(() => checkpoint.close());
      const { name: embedding } = tensorsOf(checkpoint.config).embedding;
      expect(await checkpoint.read(embedding)).toEqual(must(arrays.get(embedding), embedding).values);
    }
  });
});

/** The tensors of a file that are the model's. */
function onlyOwn(
  arrays: ReadonlyMap<string, NamedArray>,
  config: Parameters<typeof tensorShapes>[0],
): Map<string, NamedArray> {
  return new Map([...tensorShapes(config).keys()].map((name) => [name, must(arrays.get(name), name)]));
}

describe("the registry", () => {
  test("has each model_type and each GGUF architecture once", () => {
    const families = Object.values(FAMILIES);
    const types = families.flatMap(({ readers }) => [...readers.keys()]);
    const architectures = families.flatMap(({ gguf }) => (gguf === undefined ? [] : [gguf.architecture]));
    expect(new Set(types).size).toBe(types.length);
    expect(new Set(architectures).size).toBe(architectures.length);
  });

  test("is handed down: a checkpoint of a family that is not in it is refused, by the names of those that are", () => {
    const folder = SAMPLES.toy();
    expect(() => readModelConfig(folder)).toThrow(
      'model_type: expected "gemma2" or "gemma3_text", got "toy"; only Gemma-2 and Gemma-3 text checkpoints can be read',
    );
    expect(() => readModelConfig("test/fixtures/tiny-a/model", { toy: TOY })).toThrow(
      'expected "toy", got "gemma2"; only Toy text checkpoints can be read',
    );
  });
});
