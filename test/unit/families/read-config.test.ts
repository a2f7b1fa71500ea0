/** @file config.json of Gemma-2 and Gemma-3 checkpoints. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { ropeOf } from "../../../src/families/family.js";
import { GEMMA2 } from "../../../src/families/gemma2.js";
import { GEMMA3 } from "../../../src/families/gemma3.js";
import { readModelConfig } from "../../../src/families/read-config.js";
import { copyOf, editJson, temporaryFolder, TINY_A } from "../weights/temporary-folder.js";

describe("reading", () => {
  test("every size of the fixture is read", () => {
    expect(readModelConfig(`${TINY_A}/model`)).toEqual({
      family: GEMMA2,
      nLayers: 4,
      dModel: 48,
      nHeads: 4,
      nKvHeads: 2,
      headDim: 16,
      dMlp: 96,
      vocabSize: 393,
      queryPreAttnScalar: 24,
      embeddingFactor: Math.fround(Math.sqrt(48)),
      norm: { kind: "rms", eps: 1e-6, offset: 1 },
      postNorms: true,
      mlp: { kind: "gated", activation: "gelu_tanh" },
      positions: { kind: "rope", rope: { theta: 10_000, factor: 1 } },
      queryKeyNorm: false,
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
    expect(readModelConfig(folder)).toMatchObject({ positions: { rope: { theta: 500 } }, eosId: 1 });
    editJson(join(folder, "config.json"), { rope_theta: 10_000 });
    expect(() => readModelConfig(folder)).toThrow(
      /rope_theta.*expected the rope_theta of rope_parameters, 500, got 10000/,
    );
  });

  test("null soft-caps are no soft-caps, as in Hugging Face", () => {
    const folder = copyOf("model");
    editJson(join(folder, "config.json"), { attn_logit_softcapping: null, final_logit_softcapping: null });
    expect(readModelConfig(folder)).toMatchObject({ attnSoftcap: null, finalSoftcap: null });
  });

  test("a written config reads back equal", () => {
    const folder = temporaryFolder();
    const config = { ...readModelConfig(`${TINY_A}/model`), layerTypes: ["full", "full", "sliding", "full"] as const };
    writeFileSync(join(folder, "config.json"), GEMMA2.configText(config));
    expect(readModelConfig(folder)).toEqual(config);
  });
});

describe("Gemma-3 text models", () => {
  const FOLDER = fileURLToPath(new URL("../../fixtures/tiny-gemma3", import.meta.url));
  const own = JSON.parse(readFileSync(join(FOLDER, "config.json"), "utf8")) as Record<string, unknown>;

  const reading = (config: Record<string, unknown>) => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, "config.json"), JSON.stringify(config));
    return readModelConfig(folder);
  };

  test("a config that leaves out what equals the family's defaults, nested in a larger model's", () => {
    const text = {
      model_type: "gemma3_text",
      num_hidden_layers: 12,
      hidden_size: 2560,
      intermediate_size: 10_240,
      rope_scaling: { factor: 8, rope_type: "linear" },
      sliding_window: 1024,
    };
    const config = reading({ model_type: "gemma3", text_config: text, vision_config: {} });
    expect(config).toMatchObject({
      family: GEMMA3,
      nHeads: 8,
      nKvHeads: 4,
      headDim: 256,
      vocabSize: 262_208,
      slidingWindow: 1024,
      positions: { ropes: { sliding: { theta: 10_000, factor: 1 }, full: { theta: 1_000_000, factor: 8 } } },
      queryKeyNorm: true,
      attnSoftcap: null,
      finalSoftcap: null,
    });
    expect(config.layerTypes.map((type) => type.charAt(0)).join("")).toBe("sssssfsssssf");
    expect(reading(text)).toEqual(config);
  });

  test("a larger model whose text model is another, or whose embedding is not tied, is refused", () => {
    const larger = { model_type: "gemma3", text_config: own };
    expect(reading(larger)).toEqual(reading(own));
    expect(() => reading({ ...larger, text_config: { ...own, model_type: "llama" } })).toThrow(
      'text_config.model_type: expected "gemma3_text"',
    );
    expect(() => reading({ ...larger, tie_word_embeddings: false })).toThrow("tie_word_embeddings: expected true");
  });

  test("the newer spelling of the rotary bases", () => {
    const rope_parameters = {
      sliding_attention: { rope_type: "default", rope_theta: 7 },
      full_attention: { rope_type: "linear", rope_theta: 8, factor: 3 },
    };
    const config = reading({ ...own, rope_parameters });
    expect(ropeOf(config, "sliding")).toEqual({ theta: 7, factor: 1 });
    expect(ropeOf(config, "full")).toEqual({ theta: 8, factor: 3 });
  });

  test("a written config reads back equal", () => {
    const config = reading(own);
    expect(reading(JSON.parse(GEMMA3.configText(config)) as Record<string, unknown>)).toEqual(config);
  });

  test.each([
    [{ rope_scaling: { rope_type: "yarn", factor: 2 } }, "rope_scaling.rope_type"],
    [{ use_bidirectional_attention: true }, "use_bidirectional_attention: expected false"],
    [{ attn_logit_softcapping: 50 }, "attn_logit_softcapping: expected null"],
    [{ hidden_size: undefined }, "hidden_size: expected number, got nothing"],
    [{ layer_types: ["full_attention"] }, "layer_types: expected one entry for each of 4 layers, got 1"],
  ])("%j is refused", (fields, message) => {
    expect(() => reading({ ...own, ...fields })).toThrow(message);
  });
});

describe("refusals name file, field and what was expected", () => {
  test.each([
    [
      { model_type: "llama" },
      'model_type: expected "gemma2" or "gemma3_text", got "llama"; only Gemma-2 and Gemma-3 text checkpoints can be read',
    ],
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
    [{ attn_logit_softcapping: undefined }, "attn_logit_softcapping"],
    [{ num_hidden_layers: 1e9 }, "num_hidden_layers: Too big"],
    [{ use_bidirectional_attention: true }, "use_bidirectional_attention: expected false"],
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
    expect(() => readModelConfig(folder)).toThrow(`${file}:1: expected UTF-8 text, got other bytes`);
    const other = temporaryFolder();
    mkdirSync(join(other, "config.json"));
    expect(() => readModelConfig(other)).toThrow("expected a file, got a folder");
  });
});
