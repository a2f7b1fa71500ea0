/** @file config.json of a Gemma-2 checkpoint. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { configJson, readModelConfig } from "../../../src/weights/model-config.js";
import { copyOf, editJson, temporaryFolder, TINY_A } from "./temporary-folder.js";

describe("reading", () => {
  test("every size of the fixture is read", () => {
    expect(readModelConfig(`${TINY_A}/model`)).toEqual({
      nLayers: 4,
      dModel: 48,
      nHeads: 4,
      nKvHeads: 2,
      headDim: 16,
      dMlp: 96,
      vocabSize: 393,
      queryPreAttnScalar: 24,
      rmsEps: 1e-6,
      ropeTheta: 10_000,
      slidingWindow: 6,
      layerTypes: ["sliding", "full", "sliding", "full"],
      attnSoftcap: 6,
      finalSoftcap: 10,
      maxPositions: 64,
      bosId: 2,
      padId: 0,
      eosId: 1,
    });
  });

  test("without layer_types, even layers slide", () => {
    expect(readModelConfig(`${TINY_A}/model-bf16`).layerTypes).toEqual(["sliding", "full", "sliding", "full"]);
  });

  test("the newer spelling of the rotary base and a list of end tokens are read", () => {
    const folder = copyOf("model");
    const rope = { rope_theta: undefined, rope_parameters: { rope_type: "default", rope_theta: 500 } };
    editJson(join(folder, "config.json"), { ...rope, eos_token_id: [1, 107] });
    expect(readModelConfig(folder)).toMatchObject({ ropeTheta: 500, eosId: 1 });
  });

  test("a written config reads back equal", () => {
    const folder = temporaryFolder();
    const config = { ...readModelConfig(`${TINY_A}/model`), layerTypes: ["full", "full", "sliding", "full"] as const };
    writeFileSync(join(folder, "config.json"), JSON.stringify(configJson(config)));
    expect(readModelConfig(folder)).toEqual(config);
  });
});

describe("refusals name file, field and what was expected", () => {
  test.each([
    [{ model_type: "llama" }, 'model_type: expected "gemma2", got "llama"; only Gemma-2 checkpoints can be read'],
    [{ model_type: undefined }, "model_type: expected string, got nothing: the field is missing"],
    [{ hidden_size: undefined }, "hidden_size: expected number, got nothing: the field is missing"],
    [{ hidden_size: "48" }, "hidden_size: expected number, got string"],
    [{ head_dim: 15 }, "head_dim: expected an even number, as rotary embedding needs, got 15"],
    [{ num_key_value_heads: 3 }, "num_key_value_heads: expected a divisor of num_attention_heads (4), got 3"],
    [{ layer_types: ["full_attention"] }, "layer_types: expected one entry for each of 4 layers, got 1"],
    [{ hidden_activation: "silu" }, 'hidden_activation: expected "gelu_pytorch_tanh"'],
    [{ tie_word_embeddings: false }, "tie_word_embeddings: expected true"],
    [{ rope_scaling: { type: "linear" } }, "rope_scaling: expected null, got object"],
    [{ rope_theta: undefined }, "rope_theta: expected a number, got nothing"],
    [{ attn_logit_softcapping: null }, "attn_logit_softcapping: expected number, got null"],
    [{ num_hidden_layers: 1e9 }, "num_hidden_layers: Too big"],
  ])("%j", (fields, message) => {
    const folder = copyOf("model");
    editJson(join(folder, "config.json"), fields);
    expect(() => readModelConfig(folder)).toThrow(`${join(folder, "config.json")}: ${message}`);
  });

  test("a folder without config.json", () => {
    const folder = temporaryFolder();
    expect(() => readModelConfig(folder)).toThrow(
      `${join(folder, "config.json")}: no such file; a model is a folder with config.json, *.safetensors and tokenizer.json`,
    );
  });

  test("config.json that is not JSON, not UTF-8 or a folder", () => {
    const folder = temporaryFolder();
    const file = join(folder, "config.json");
    writeFileSync(file, "{");
    expect(() => readModelConfig(folder)).toThrow(`${file}: not valid JSON: `);
    writeFileSync(file, Uint8Array.of(0xff, 0xfe));
    expect(() => readModelConfig(folder)).toThrow(`${file}: expected UTF-8 text, got other bytes`);
    const other = temporaryFolder();
    mkdirSync(join(other, "config.json"));
    expect(() => readModelConfig(other)).toThrow("expected a file, got a folder");
  });
});
