/** @file The tokenizer against ids that the reference library gave, and faults of its files. */
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { GEMMA2 } from "../../../src/families/gemma2.js";
import { openTokenizer } from "../../../src/prompts/tokenizer.js";
import { temporaryFolder } from "../weights/temporary-folder.js";

const MODEL = "test/fixtures/tiny-a/model";

interface Golden {
  readonly text: { text: string; ids: number[] }[];
  readonly chat: {
    messages: { role: "user"; content: string }[];
    add_generation_prompt: boolean;
    text: string;
    ids: number[];
  }[];
}
const golden = JSON.parse(readFileSync("test/fixtures/tiny-a/expected/tokens.json", "utf8")) as Golden;

/** A copy of the model folder's small files. */
function copy(): string {
  const folder = temporaryFolder();
  cpSync(MODEL, folder, { recursive: true, filter: (path) => !path.endsWith(".safetensors") });
  return folder;
}

function edit(file: string, change: (value: Record<string, unknown>) => void): void {
  const value = JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
  change(value);
  writeFileSync(file, JSON.stringify(value));
}

describe("encoding", () => {
  test.each(golden.text)("$text gives the reference's ids, one BOS in front", ({ text, ids }) => {
    expect(openTokenizer(MODEL, GEMMA2.bos).encode(text)).toEqual(ids);
  });

  test("a tokenizer whose template adds an end token gives the same ids", () => {
    const folder = copy();
    edit(join(folder, "tokenizer.json"), (value) => {
      const eos = { SpecialToken: { id: "<eos>", type_id: 0 } };
      const processor = value["post_processor"] as { single: unknown[]; special_tokens: Record<string, unknown> };
      processor.single.push(eos);
      processor.special_tokens["<eos>"] = { id: "<eos>", ids: [1], tokens: ["<eos>"] };
    });
    expect(openTokenizer(folder, GEMMA2.bos).encode("The boy")).toEqual([2, 313, 333]);
  });

  test("of a family whose prompts have no BOS, a text is its own ids, whatever the tokenizer calls BOS", () => {
    const tokenizer = openTokenizer(MODEL, { kind: "none" });
    expect(tokenizer.start).toEqual([]);
    for (const { text, ids } of golden.text) expect(tokenizer.encode(text)).toEqual(ids.slice(1));
  });

  test("without tokenizer_config.json the BOS is the family's", () => {
    const folder = copy();
    rmSync(join(folder, "tokenizer_config.json"));
    const tokenizer = openTokenizer(folder, GEMMA2.bos);
    for (const { text, ids } of golden.text) expect(tokenizer.encode(text)).toEqual(ids);
  });
});

describe("chat template", () => {
  test.each(golden.chat)("$messages", ({ messages, add_generation_prompt, text, ids }) => {
    expect(openTokenizer(MODEL, GEMMA2.bos).chat(messages, add_generation_prompt)).toEqual({ text, ids });
  });

  test("a template in tokenizer_config.json, plain or named default, gives the same text", () => {
    const [first] = golden.chat as [Golden["chat"][number]];
    const folder = copy();
    const template = readFileSync(join(folder, "chat_template.jinja"), "utf8");
    rmSync(join(folder, "chat_template.jinja"));
    for (const field of [
      template,
      [
        { name: "tool", template: "x" },
        { name: "default", template },
      ],
    ]) {
      edit(join(folder, "tokenizer_config.json"), (value) => {
        value["chat_template"] = field;
      });
      expect(openTokenizer(folder, GEMMA2.bos).chat(first.messages, first.add_generation_prompt).text).toBe(first.text);
    }
  });

  test("a folder without one refuses, and so does a template that raises", () => {
    const folder = copy();
    writeFileSync(join(folder, "chat_template.jinja"), "{{ raise_exception('System role not supported') }}");
    const messages = [{ role: "system", content: "x" }] as const;
    expect(() => openTokenizer(folder, GEMMA2.bos).chat(messages, true)).toThrow(
      `${folder}: the chat template failed: System role not supported`,
    );
    rmSync(join(folder, "chat_template.jinja"));
    expect(() => openTokenizer(folder, GEMMA2.bos).chat(messages, true)).toThrow(
      "expected a chat template in the folder, got none",
    );
  });
});

describe("refusals name the file", () => {
  test("no tokenizer.json", () => {
    const folder = copy();
    rmSync(join(folder, "tokenizer.json"));
    expect(() => openTokenizer(folder, GEMMA2.bos)).toThrow(
      `${join(folder, "tokenizer.json")}: no such file or folder`,
    );
  });

  test("a tokenizer.json of another kind", () => {
    const folder = copy();
    const file = join(folder, "tokenizer.json");
    edit(file, (value) => {
      value["model"] = { type: "Unigram", vocab: [] };
    });
    expect(() => openTokenizer(folder, GEMMA2.bos)).toThrow(`${file}: model.type: expected "BPE"`);
    writeFileSync(file, "{}");
    expect(() => openTokenizer(folder, GEMMA2.bos)).toThrow(`${file}: model: expected object, got nothing`);
  });

  test.each<[Record<string, unknown>, string]>([
    [{ vocab: { a: 0, b: null } }, "model.vocab.b: expected number, got null"],
    [{ vocab: { a: 0, b: 1.5 } }, "model.vocab.b: expected int, got number"],
    [{ vocab: { a: 0, b: -1 } }, "model.vocab.b: Too small"],
    [{ merges: [null] }, "model.merges.0: "],
    [{ continuing_subword_prefix: "##" }, "model.continuing_subword_prefix: "],
    [{ dropout: 0.5 }, "model.dropout: expected 0"],
  ])("a tokenizer.json whose model has %j", (fields, message) => {
    const folder = copy();
    const file = join(folder, "tokenizer.json");
    edit(file, (value) => {
      Object.assign(value["model"] as object, fields);
    });
    expect(() => openTokenizer(folder, GEMMA2.bos)).toThrow(`${file}: ${message}`);
  });

  test("a tokenizer.json that the library cannot build", () => {
    const folder = copy();
    const file = join(folder, "tokenizer.json");
    edit(file, (value) => {
      value["normalizer"] = { type: "Unheard" };
    });
    expect(() => openTokenizer(folder, GEMMA2.bos)).toThrow(`${file}: expected a tokenizer that can be built, got: `);
  });

  test("a BOS that the vocabulary does not have", () => {
    const folder = copy();
    edit(join(folder, "tokenizer_config.json"), (value) => {
      value["bos_token"] = { content: "<s>" };
    });
    expect(() => openTokenizer(folder, GEMMA2.bos)).toThrow(
      "tokenizer.json: expected a token <s>, with which prompts start, got none",
    );
  });
});
