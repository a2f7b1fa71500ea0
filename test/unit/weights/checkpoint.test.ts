/** @file Checkpoint folders: what is read, and how damage is reported. */
import fc from "fast-check";
import { cpSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { PatchbayError } from "../../../src/base/errors.js";
import { tensorShapes } from "../../../src/families/family.js";
import { type Checkpoint, openCheckpoint, writeCheckpoint } from "../../../src/weights/checkpoint.js";
import { halvesToFloats, type NamedArray } from "../../../src/weights/named-array.js";
import { encodeSafetensors, readSafetensorsFile } from "../../../src/weights/safetensors.js";
import { copyOf, editBytes, editJson, temporaryFolder, TINY_A } from "./temporary-folder.js";

const EMBEDDING = "model.embed_tokens.weight";
const FINAL_NORM = "model.norm.weight";
const SHARD = "model-00002-of-00002.safetensors";

async function open(folder: string): Promise<Checkpoint> {
  const checkpoint = await openCheckpoint(folder);
  onTestFinished(() => checkpoint.close());
  return checkpoint;
}

/** Rewrites the weights of a copy of the fixture's model. */
async function withTensors(edit: (arrays: Map<string, NamedArray>) => void): Promise<string> {
  const folder = copyOf("model");
  const file = join(folder, "model.safetensors");
  const { arrays } = await readSafetensorsFile(file);
  edit(arrays);
  writeFileSync(file, encodeSafetensors(arrays));
  return folder;
}

describe("reading", () => {
  test("every tensor of a sharded checkpoint equals the single file's", async () => {
    const [single, sharded] = [await open(`${TINY_A}/model`), await open(`${TINY_A}/model-sharded`)];
    for (const [name, shape] of tensorShapes(single.config)) {
      expect(sharded.shapeOf(name)).toEqual(shape);
      expect(await sharded.read(name)).toEqual(await single.read(name));
    }
  });

  test("a bfloat16 checkpoint holds the rounded weights", async () => {
    const [single, rounded] = [await open(`${TINY_A}/model`), await open(`${TINY_A}/model-bf16`)];
    const exact = new Uint32Array((await single.read(FINAL_NORM)).buffer);
    const toNearestEven = Uint16Array.from(exact, (bits) => (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16);
    expect(await rounded.read(FINAL_NORM)).toEqual(halvesToFloats(new Uint8Array(toNearestEven.buffer), "BF16"));
  });

  test("gathered rows come in the order asked for, repeats included", async () => {
    for (const part of ["model", "model-bf16"]) {
      const checkpoint = await open(`${TINY_A}/${part}`);
      const all = await checkpoint.read(EMBEDDING);
      const rows = Int32Array.of(392, 0, 7, 7, 391, 0);
      const expected = [...rows].flatMap((row) => [...all.subarray(row * 48, row * 48 + 48)]);
      expect(await checkpoint.readRows(EMBEDDING, rows)).toEqual(Float32Array.from(expected));
      expect(await checkpoint.readRows(EMBEDDING, [])).toEqual(new Float32Array(0));
    }
  });

  test("rows far apart are gathered without reading what lies between", async () => {
    const config = {
      ...(await open(`${TINY_A}/model`)).config,
      nLayers: 1,
      layerTypes: ["full"] as const,
      vocabSize: 40_000,
    };
    const tensors = new Map<string, NamedArray>();
    for (const [name, shape] of tensorShapes(config)) {
      const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, at) => at);
      tensors.set(name, { shape, values });
    }
    const folder = temporaryFolder();
    await writeCheckpoint(folder, config, tensors);
    const rows = [39_999, 3, 20_000, 2, 20_001];
    const gathered = await (await open(folder)).readRows(EMBEDDING, rows);
    expect(Array.from(rows, (_, at) => gathered[at * 48 + 1])).toEqual(rows.map((row) => row * 48 + 1));
  });

  test.each(["language_model.model.", "model.language_model."])(
    "names that begin with %s are found",
    async (prefix) => {
      const folder = await withTensors((arrays) => {
        for (const [name, array] of [...arrays]) {
          arrays.delete(name);
          arrays.set(name.replace(/^model\./, prefix), array);
        }
      });
      const [checkpoint, original] = [await open(folder), await open(`${TINY_A}/model`)];
      expect(await checkpoint.read(FINAL_NORM)).toEqual(await original.read(FINAL_NORM));
      expect(await checkpoint.readRows(EMBEDDING, [5])).toEqual(await original.readRows(EMBEDDING, [5]));
      expect(checkpoint.shapeOf(EMBEDDING)).toEqual([393, 48]);
    },
  );

  test("an lm_head beside a tied embedding is ignored", async () => {
    const folder = await withTensors((arrays) => {
      arrays.set("lm_head.weight", { shape: [1], values: Float32Array.of(NaN) });
    });
    const [checkpoint, original] = [await open(folder), await open(`${TINY_A}/model`)];
    expect(await checkpoint.read(EMBEDDING)).toEqual(await original.read(EMBEDDING));
  });
});

describe("writing", () => {
  test("a written checkpoint reads back equal, and writing again gives the same bytes", async () => {
    const [folder, again] = [temporaryFolder(), temporaryFolder()];
    const { arrays } = await readSafetensorsFile(`${TINY_A}/model/model.safetensors`);
    const { config } = await open(`${TINY_A}/model`);
    await writeCheckpoint(folder, config, arrays);
    await writeCheckpoint(again, config, new Map([...arrays].reverse()));
    const written = await open(folder);
    expect(written.config).toEqual(config);
    for (const [name, { values }] of arrays) expect(await written.read(name)).toEqual(values);
    expect(await (await open(again)).fingerprint()).toBe(await written.fingerprint());
  });
});

describe("fingerprint", () => {
  test("does not depend on where the folder lies or on files that do not matter", async () => {
    const folder = copyOf("model");
    rmSync(join(folder, "generation_config.json"));
    expect(await (await open(folder)).fingerprint()).toBe(await (await open(`${TINY_A}/model`)).fingerprint());
  });

  test.each(["config.json", "tokenizer.json", "model.safetensors"])("depends on %s", async (name) => {
    const folder = copyOf("model");
    const before = await (await open(folder)).fingerprint();
    editBytes(join(folder, name), (bytes) =>
      name.endsWith(".json")
        ? Uint8Array.of(0x20, ...bytes)
        : bytes.map((byte, at) => (at === bytes.length - 4 ? byte ^ 1 : byte)),
    );
    expect(await (await open(folder)).fingerprint()).not.toBe(before);
  });
});

describe("refusals name the file or tensor, what was expected and what is there", () => {
  test("no weights at all", async () => {
    const folder = copyOf("model");
    rmSync(join(folder, "model.safetensors"));
    await expect(openCheckpoint(folder)).rejects.toThrow(
      `${folder}: expected model.safetensors or model.safetensors.index.json, got neither`,
    );
  });

  test("a missing shard", async () => {
    const folder = copyOf("model-sharded");
    rmSync(join(folder, SHARD));
    await expect(openCheckpoint(folder)).rejects.toThrow(
      `model.safetensors.index.json: weight_map: expected the shard ${SHARD} beside it, got no such file; copy or download it again`,
    );
  });

  test("an index that points outside its folder", async () => {
    const folder = copyOf("model-sharded");
    editJson(join(folder, "model.safetensors.index.json"), { weight_map: { x: "../model/model.safetensors" } });
    await expect(openCheckpoint(folder)).rejects.toThrow(
      "weight_map.x: expected the name of a .safetensors file in the same folder",
    );
  });

  test("a file cut short", async () => {
    const folder = copyOf("model-sharded");
    editBytes(join(folder, SHARD), (bytes) => bytes.subarray(0, bytes.length - 1));
    await expect(openCheckpoint(folder)).rejects.toThrow(
      `${join(folder, SHARD)}: cut short: its header promises 188432 bytes, the file has 188431; copy or download it again`,
    );
  });

  test("a tensor that two shards hold", async () => {
    const folder = copyOf("model-sharded");
    cpSync(join(folder, SHARD), join(folder, "model-00003.safetensors"));
    const index = JSON.parse(readFileSync(join(folder, "model.safetensors.index.json"), "utf8")) as {
      weight_map: object;
    };
    editJson(join(folder, "model.safetensors.index.json"), {
      weight_map: { ...index.weight_map, x: "model-00003.safetensors" },
    });
    await expect(openCheckpoint(folder)).rejects.toThrow(`: is in ${SHARD}, model-00003.safetensors`);
  });

  test("a missing tensor", async () => {
    const name = "model.layers.2.self_attn.k_proj.weight";
    const folder = await withTensors((arrays) => arrays.delete(name));
    await expect(openCheckpoint(folder)).rejects.toThrow(
      `${folder}: ${name}: expected shape [32, 48], got no such tensor in model.safetensors`,
    );
  });

  test("a tensor of another shape", async () => {
    const name = "model.layers.1.mlp.up_proj.weight";
    const folder = await withTensors((arrays) => {
      arrays.set(name, { shape: [48, 96], values: new Float32Array(48 * 96) });
    });
    await expect(openCheckpoint(folder)).rejects.toThrow(
      `${join(folder, "model.safetensors")}: ${name}: expected shape [96, 48] from config.json, got [48, 96]`,
    );
  });

  test("a NaN in a weight", async () => {
    const name = "model.layers.3.post_feedforward_layernorm.weight";
    const folder = await withTensors((arrays) => {
      const values = new Float32Array(48);
      values[5] = Infinity;
      arrays.set(name, { shape: [48], values });
    });
    const checkpoint = await open(folder);
    await expect(checkpoint.read(name)).rejects.toMatchObject({
      code: "non_finite",
      detail: { field: name },
    });
  });

  test("a row that the embedding does not have", async () => {
    const checkpoint = await open(`${TINY_A}/model`);
    await expect(checkpoint.readRows(EMBEDDING, [3, 393])).rejects.toThrow(
      `${EMBEDDING}: expected a row below 393, got 393; does tokenizer.json belong to this checkpoint?`,
    );
  });

  test("a folder in place of a weight file", async () => {
    const folder = copyOf("model");
    rmSync(join(folder, "model.safetensors"));
    renameSync(copyOf("data"), join(folder, "model.safetensors"));
    await expect(openCheckpoint(folder)).rejects.toThrow("expected a file, got a folder");
  });
});

describe("random damage", () => {
  test("a weight file cut anywhere never opens", async () => {
    const folder = copyOf("model-sharded");
    const whole = readFileSync(join(folder, SHARD));
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), async (length) => {
        writeFileSync(join(folder, SHARD), whole.subarray(0, length));
        await expect(openCheckpoint(folder)).rejects.toThrow(PatchbayError);
      }),
      { numRuns: 60 },
    );
  });

  test("foreign bytes in a header, an index or a config open, or fail with one of our errors", async () => {
    const folder = copyOf("model-sharded");
    const file = fc.constantFrom("config.json", "model.safetensors.index.json", SHARD);
    const changes = fc.array(fc.tuple(fc.nat(2000), fc.nat(255)), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(file, changes, async (name, edits) => {
        const path = join(folder, name);
        const original = readFileSync(path);
        const bytes = Uint8Array.from(original);
        for (const [at, value] of edits) bytes[at % bytes.length] = value;
        writeFileSync(path, bytes);
        await openCheckpoint(folder).then(
          (checkpoint) => checkpoint.close(),
          (error: unknown) => {
            expect(error).toBeInstanceOf(PatchbayError);
          },
        );
        writeFileSync(path, original);
      }),
      { numRuns: 200 },
    );
  });
});
